"""Questions in GraphQL: what REST shows, with its codes, in few statements and within limits."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from litestar.testing import TestClient

from api.graphql.schema import FILE, schema_with
from api.tokens import Tokens
from projections.reading import queries
from tests.api.conftest import (
    Client,
    Person,
    data_of,
    list_product,
    place_order,
    refused,
    register,
)
from tests.api.graphql.conftest import Ask, codes, found
from tests.api.read.conftest import Post, new_app

MONEY = "{ amount currency }"
PRODUCT = f"id sku name price {MONEY} stock status createdAt updatedAt version"
ORDER = f"""
    id userId status reference total {MONEY} placedAt updatedAt deliveredAt version
    items {{ productId sku name quantity unitPrice {MONEY} amount {MONEY} }}
    payment {{ reference at }} shipment {{ carrier trackingNumber at }}
    cancellation {{ reason at }} refund {{ reason at }} notes {{ text at }}
    history {{ status at }}
"""
USER = f"""
    id email name role status createdAt updatedAt version
    orderSummary {{ count totalSpent {MONEY} lastOrder {{ id placedAt total {MONEY} }} }}
"""


SHIPPED = "status=shipped&sortBy=total&sortOrder=asc"


@pytest.fixture(scope="module")
def order(customer: Person, staff: Person, post: Post) -> str:
    """Give a customer's order that has come a long way."""
    placed = place_order(customer, list_product(staff, amount="2.50"), quantity=2)
    amount = {"amount": "5.00", "currency": "GBP"}
    data_of(staff.ask("POST", f"/orders/{placed}/payment", {"reference": "R", "amount": amount}))
    data_of(staff.ask("POST", f"/orders/{placed}/notes", {"text": "Careful."}))
    shipment = {"carrier": "Post", "trackingNumber": "T"}
    data_of(staff.ask("POST", f"/orders/{placed}/shipment", shipment))
    post()
    return placed


def rest(client: Client, person: Person | None, path: str) -> Any:
    """Return what version 2 of REST answers: the data, or the code of the refusal."""
    signed = {"Authorization": f"Bearer {person.access_token}"} if person else {}
    body = client.get(f"/api/v2{path}", headers=signed).json()
    return body["data"] if body["success"] else body["error"]["code"]


def test_a_question_gets_what_rest_shows_and_nobody_more(  # noqa: PLR0913, PLR0917 - everybody asks
    client: Client,
    ask: Ask,
    customer: Person,
    stranger: Person,
    staff: Person,
    auditor: Person,
    admin: Person,
    order: str,
    post: Post,
) -> None:
    withdrawn = list_product(staff)
    staff.ask("DELETE", f"/products/{withdrawn}")
    post()
    product = data_of(staff.ask("GET", f"/orders/{order}"))["items"][0]["productId"]
    nothing = str(uuid4())
    singles = [
        *(("order", ORDER, one, f"/orders/{one}") for one in (order, nothing)),
        *(("user", USER, one, f"/users/{one}") for one in (customer.id, stranger.id, nothing)),
        *(("product", PRODUCT, one, f"/products/{one}") for one in (product, withdrawn, nothing)),
    ]
    compared = 0
    for person in (None, customer, stranger, staff, auditor, admin):
        for field, shown, wanted, path in singles:
            answer = ask(
                person, f"query($id: UUID!) {{ {field}(id: $id) {{ {shown} }} }}", id=wanted
            )
            assert outcome(answer, field) == rest(client, person, path), (field, path)
            compared += 1
        lists = [
            (f"orders(first: 100) {{ nodes {{ {ORDER} }} }}", "/orders?limit=100"),
            (f"users(first: 100) {{ nodes {{ {USER} }} }}", "/users?limit=100"),
            (f"products(first: 100) {{ nodes {{ {PRODUCT} }} }}", "/products?limit=100"),
            (
                f"products(first: 100, status: withdrawn) {{ nodes {{ {PRODUCT} }} }}",
                "/products?limit=100&status=withdrawn",
            ),
            (
                f'orders(first: 100, userId: "{customer.id}") {{ nodes {{ {ORDER} }} }}',
                f"/orders?limit=100&userId={customer.id}",
            ),
            (
                f"""orders(minTotal: "5", maxTotal: "5.00", placedFrom: "2026-01-01",
                    status: shipped, sortBy: total, sortOrder: asc) {{ nodes {{ {ORDER} }} }}""",
                f"/orders?minTotal=5&maxTotal=5.00&placedFrom=2026-01-01&{SHIPPED}",
            ),
            (
                f"products(inStock: true, sortBy: stock) {{ nodes {{ {PRODUCT} }} }}",
                "/products?inStock=true&sortBy=stock",
            ),
            (f"me {{ {USER} }}", "/users/me"),
        ]
        for question, path in lists:
            field = question.split("(")[0].split()[0]
            answer = ask(person, f"{{ {question} }}")
            assert outcome(answer, field) == rest(client, person, path), (question, path)
            compared += 1
    assert compared == 96


def outcome(answer: Any, field: str) -> Any:
    """Return what was found in the form of REST, or the code of the refusal."""
    if "errors" in answer.json():
        (code,) = codes(answer)
        return code
    data = answer.json()["data"][field]
    return [tidy(one) for one in data["nodes"]] if "nodes" in data else tidy(data)


def tidy(shown: dict[str, Any]) -> dict[str, Any]:
    """Leave notes out where there are none to see, as REST does."""
    return {key: value for key, value in shown.items() if (key, value) != ("notes", None)}


@contextmanager
def statements(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Note each statement that the views are asked by."""
    seen: list[str] = []
    execute = psycopg.AsyncCursor.execute

    async def noted(self: Any, query: Any, *arguments: Any, **options: Any) -> Any:
        if "projection_checkpoints" in str(query) and "list_position" in str(query):
            seen.append(str(query))
        return await execute(self, query, *arguments, **options)

    with monkeypatch.context() as patched:
        patched.setattr(psycopg.AsyncCursor, "execute", noted)
        yield seen


def test_a_page_of_users_with_orders_and_products_is_three_statements(
    client: Client,
    ask: Ask,
    staff: Person,
    post: Post,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    buyers = [register(client) for _ in range(4)]
    products = [list_product(staff, stock=None) for _ in range(3)]
    for number in range(12):
        place_order(buyers[number % 4], products[number % 3], quantity=1)
    post()
    question = """
        { users(first: 50) { nodes { id orders(first: 20) { totalCount nodes {
            id userId items { product { id } } } } } } }
    """
    with statements(monkeypatch) as seen:
        users = found(ask(staff, question))["users"]["nodes"]
    assert len(seen) == 3
    by_id = {one["id"]: one for one in users}
    for number, buyer in enumerate(buyers):
        orders = by_id[buyer.id]["orders"]
        assert orders["totalCount"] == len(orders["nodes"]) == 3
        assert {one["userId"] for one in orders["nodes"]} == {buyer.id}
        assert {item["product"]["id"] for one in orders["nodes"] for item in one["items"]} == {
            products[each % 3] for each in range(12) if each % 4 == number
        }
        listed = rest(client, staff, f"/users/{buyer.id}/orders")
        assert [one["id"] for one in orders["nodes"]] == [one["id"] for one in listed]
    with statements(monkeypatch) as seen:
        found(ask(staff, "{ orders(first: 50) { nodes { user { email } } } }"))
    assert len(seen) == 2


def test_the_ends_of_many_lists_and_what_they_count_are_loaded_at_once(
    client: Client, ask: Ask, staff: Person, post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    product = list_product(staff, stock=None)
    buyers = [register(client) for _ in range(3)]
    placed = {
        buyer.id: [place_order(buyer, product, quantity=1) for _ in range(4)] for buyer in buyers
    }
    data_of(staff.ask("POST", f"/orders/{placed[buyers[0].id][0]}/cancellation", {"reason": "no"}))
    post()
    question = """{ users(first: 50) { nodes { id oldest: orders(last: 2) { nodes { id }
        pageInfo { hasPreviousPage hasNextPage startCursor } }
        placed: orders(status: placed) { totalCount } } } }"""
    with statements(monkeypatch) as seen:
        users = found(ask(staff, question))["users"]["nodes"]
    assert len(seen) == 4  # users, both kinds of orders, how many
    by_id = {one["id"]: one for one in users}
    for buyer in buyers:
        shown = by_id[buyer.id]["oldest"]
        assert [one["id"] for one in shown["nodes"]] == placed[buyer.id][1::-1]
        assert shown["pageInfo"]["hasPreviousPage"] is True
        assert shown["pageInfo"]["hasNextPage"] is False
    assert [by_id[one.id]["placed"]["totalCount"] for one in buyers] == [3, 4, 4]

    both = "".join(
        f"""u{number}: user(id: "{one.id}") {{ orders({way}: 2, {at}: "{cursor}") {{
            nodes {{ id }} pageInfo {{ hasPreviousPage hasNextPage }} }} }} """
        for number, one in enumerate(buyers)
        for way, at, cursor in [
            ("last", "before", by_id[one.id]["oldest"]["pageInfo"]["startCursor"])
        ]
    )
    with statements(monkeypatch) as seen:
        walked = found(ask(staff, f"{{ {both} }}"))
    assert sum("orders_v1" in one for one in seen) <= 2  # the users may come in two groups
    for number, buyer in enumerate(buyers):
        orders = walked[f"u{number}"]["orders"]
        assert [one["id"] for one in orders["nodes"]] == placed[buyer.id][:1:-1]
        assert orders["pageInfo"] == {"hasPreviousPage": False, "hasNextPage": True}


def test_the_counter_of_statements_counts(
    ask: Ask, staff: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert queries.fetched
    with statements(monkeypatch) as seen:
        found(ask(staff, "{ a: users { totalCount } b: orders { totalCount } }"))
    assert len(seen) == 4


def test_connections_are_walked_both_ways(ask: Ask, staff: Person, post: Post) -> None:
    name = f"Walk {uuid4().hex}"
    for _ in range(5):
        body = {"sku": uuid4().hex, "name": name, "stock": 1}
        body |= {"price": {"amount": "1.00", "currency": "GBP"}}
        data_of(staff.ask("POST", "/products", body))
    post()
    question = """
        query($name: String, $first: Int, $after: String, $last: Int, $before: String) {
          products(name: $name, first: $first, after: $after, last: $last, before: $before) {
            totalCount edges { cursor node { id } }
            pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } }
    """
    everything = found(ask(None, question, name=name))["products"]
    ids = [one["node"]["id"] for one in everything["edges"]]
    assert everything["totalCount"] == len(ids) == 5
    first = found(ask(None, question, name=name, first=2))["products"]
    assert [one["node"]["id"] for one in first["edges"]] == ids[:2]
    assert (first["pageInfo"]["hasNextPage"], first["pageInfo"]["hasPreviousPage"]) == (True, False)
    end = first["pageInfo"]["endCursor"]
    rest_of_it = found(ask(None, question, name=name, first=10, after=end))["products"]
    assert [one["node"]["id"] for one in rest_of_it["edges"]] == ids[2:]
    assert rest_of_it["pageInfo"]["hasNextPage"] is False
    start = rest_of_it["pageInfo"]["startCursor"]
    before = found(ask(None, question, name=name, last=1, before=start))["products"]
    assert [one["node"]["id"] for one in before["edges"]] == ids[1:2]
    last = found(ask(None, question, name=name, last=2))["products"]
    assert [one["node"]["id"] for one in last["edges"]] == ids[3:]
    assert last["pageInfo"]["hasPreviousPage"] is True
    assert codes(ask(None, question, name="other", after=end)) == ["MALFORMED_REQUEST"]
    assert codes(ask(None, question, first=1, last=1)) == ["MALFORMED_REQUEST"]


def test_a_user_s_orders_can_be_walked(client: Client, ask: Ask, staff: Person, post: Post) -> None:
    buyer, product = register(client), list_product(staff, stock=None)
    placed = [place_order(buyer, product, quantity=1) for _ in range(3)]
    post()
    question = """query($after: String) { me { orders(first: 2, after: $after) {
        nodes { id } pageInfo { hasNextPage hasPreviousPage endCursor } } } }"""
    first = found(ask(buyer, question))["me"]["orders"]
    assert first["pageInfo"]["hasNextPage"] is True
    second = found(ask(buyer, question, after=first["pageInfo"]["endCursor"]))["me"]["orders"]
    assert second["pageInfo"]["hasNextPage"] is False
    ids = [one["id"] for one in [*first["nodes"], *second["nodes"]]]
    assert ids == placed[::-1]


def deep(levels: int) -> str:
    """Return a question of so many levels above its last field."""
    ways = ("orders(first: 1)", "nodes", "user")
    opened = " { ".join(ways[level % 3] for level in range(levels))
    return f"{{ {opened} {{ __typename }} {'}' * levels}"


def renamed(times: int) -> str:
    """Return a question with so many aliases."""
    return "{ " + "".join(f"a{n}: products {{ nodes {{ id }} }} " for n in range(times)) + "}"


def long(tokens: int) -> str:
    """Return a question of so many tokens."""
    fields = ("id", "sku", "name", "stock", "status", "createdAt", "updatedAt", "version")
    asked = " ".join(fields[number % len(fields)] for number in range(tokens - 8))
    return f"{{ products {{ nodes {{ {asked} }} }} }}"


def doubling(fragments: int, last: str = "__typename") -> str:
    """Return a question whose fragments spread the next one twice: 2**fragments of the last."""
    chain = " ".join(
        f"fragment f{n} on Query {{ ...f{n + 1} ...f{n + 1} }}" for n in range(fragments)
    )
    return f"{{ ...f0 }} {chain} fragment f{fragments} on Query {{ {last} }}"


JUST_ALLOWED = {
    "depth": deep(8),
    "aliases": renamed(15),
    "tokens": long(1_000),
    "fragments": doubling(10),
    "aliases by fragments": doubling(3, "a: __typename"),
}
TOO_MUCH = {
    "depth": deep(9),
    "much too deep": deep(50),
    "aliases": renamed(16),
    "a thousand aliases": "{ " + " ".join(f"a{n}: __typename" for n in range(1_000)) + " }",
    "tokens": long(1_001),
    "aliases by fragments": doubling(4, "a: __typename"),
    "depth by fragments": deep(8).replace("__typename", "...more")
    + " fragment more on Order { user { id } }",
    "many fragments": doubling(60, "products { nodes { id } }"),
    "objects": """{ users(first: 100) { nodes { orders(first: 100) {
        nodes { total { amount } } } } } }""",
    "objects by fragments": """{ ...all } fragment all on Query { users(first: 100) {
        edges { node { orders(last: 100) { nodes { items { sku } } } } } } }""",
}


@pytest.mark.parametrize("limit", TOO_MUCH)
def test_what_is_too_much_is_refused(ask: Ask, staff: Person, limit: str) -> None:
    answer = ask(staff, TOO_MUCH[limit])
    assert answer.status_code == 400
    assert set(codes(answer)) == {"MALFORMED_REQUEST"}
    assert answer.json()["data"] is None


@pytest.mark.parametrize("limit", JUST_ALLOWED)
def test_what_is_just_allowed_is_answered(ask: Ask, staff: Person, limit: str) -> None:
    found(ask(staff, JUST_ALLOWED[limit]))


def test_a_question_takes_the_time_of_its_text_and_not_of_what_fragments_make_of_it(
    client: Client,
) -> None:
    def seconds(fragments: int) -> float:
        began = time.perf_counter()
        found(client.post("/graphql", json={"query": doubling(fragments)}))
        return time.perf_counter() - began

    seconds(1)
    assert seconds(20) < 60 * seconds(5)  # what they make of it is 32,768 times as much


def test_a_number_in_a_variable_counts(ask: Ask, staff: Person) -> None:
    question = """query($n: Int = 100) {
        users(first: $n) { nodes { orders(first: $n) { nodes { items { sku } } } } } }"""
    assert ask(staff, question).status_code == 400
    assert ask(staff, question, n=100).status_code == 400
    assert ask(staff, question, n=20).status_code == 200


BAD = [
    "{",
    "}",
    "\x00",
    "{ nothing }",
    "{ \N{BOMB} }",
    "mutation { me { id } }",
    "subscription { me { id } }",
    "{ product(id: 1) { id } }",
    '{ product(id: "x") { id } }',
    "{ products(first: 1.5) { nodes { id } } }",
    "query($x: Int!) { products(first: $x) { nodes { id } } }",
    "{ users(role: root) { nodes { id } } }",
    "{ products(first: 99999999999) { nodes { id } } }",
    "fragment a on Product { ...a } { products { nodes { ...a } } }",
    "{ ...nothing }",
    "fragment a on Query { ...nothing } { ...a }",
    "query a { me { id } } query b { me { id } }",
    "{ me }",
    "{ products { nodes } }",
]


@pytest.mark.parametrize("query", BAD)
def test_what_cannot_be_understood_is_400(ask: Ask, staff: Person, query: str) -> None:
    answer = ask(staff, query)
    assert answer.status_code == 400, answer.text
    assert set(codes(answer)) == {"MALFORMED_REQUEST"}
    assert "traceback" not in answer.text.lower()


def test_an_operation_that_is_not_there_is_400(client: Client) -> None:
    query = "query a { products { nodes { id } } } query b { products { nodes { id } } }"
    for body in (
        {"query": query, "operationName": "c"},
        {"query": query, "operationName": ""},
        {"query": "fragment f on Product { id }"},
        {"query": "{ products { nodes { id } } }", "operationName": "c"},
    ):
        answer = client.post("/graphql", json=body)
        assert answer.status_code == 400, body
        assert set(codes(answer)) == {"MALFORMED_REQUEST"}
    assert client.post("/graphql", json={"query": query, "operationName": "b"}).is_success


ARGUMENTS = [
    ("products(first: 0)", "first"),
    ("products(first: 101)", "first"),
    ("products(last: -1)", "last"),
    ('products(minPrice: "1e3")', "minPrice"),
    ('orders(placedFrom: "soon")', "placedFrom"),
    (f'products(after: "{"x" * 40}")', "cursor"),
    (f'users(email: "{"x" * 255}")', "email"),
    ('users(email: "\\u0000")', "email"),
]


@pytest.mark.parametrize(("field", "name"), ARGUMENTS)
def test_a_bad_argument_is_refused_by_name(ask: Ask, staff: Person, field: str, name: str) -> None:
    answer = ask(staff, f"{{ {field} {{ nodes {{ id }} }} }}")
    (error,) = answer.json()["errors"]
    assert error["extensions"]["code"] == "MALFORMED_REQUEST"
    assert [one["field"] for one in error["extensions"]["details"]] == [name]


def nested(levels: int) -> Any:
    """Return lists within lists."""
    inner: Any = []
    for _ in range(levels - 1):
        inner = [inner]
    return inner


QUERY = {"query": "{ me { id } }"}
NO_QUESTIONS: list[tuple[Any, int]] = [
    ([], 400),
    (None, 400),
    (1, 400),
    ([QUERY], 400),
    ([QUERY] * 1_000, 400),
    ({**QUERY, "variables": {"a": nested(31)}}, 400),  # 33 levels
    ({**QUERY, "extensions": {"a": nested(500)}}, 400),
    ({"query": 1}, 422),
    ({}, 422),
    ({"query": ""}, 422),
    ({**QUERY, "variables": []}, 422),
    ({**QUERY, "more": 1}, 422),
    ({"query": "x" * 20_001}, 422),
    ({"query": "x" * 100_000}, 422),
]


@pytest.mark.parametrize(("body", "status"), NO_QUESTIONS, ids=range(len(NO_QUESTIONS)))
def test_a_body_that_is_no_question_is_refused_in_the_envelope(
    client: Client, body: Any, status: int
) -> None:
    code = {400: "MALFORMED_REQUEST", 422: "VALIDATION_ERROR"}[status]
    refused(client.post("/graphql", json=body), status, code)


def test_a_body_of_32_levels_is_a_question(client: Client) -> None:
    body = {"query": "{ __typename }", "variables": {"a": nested(30)}}
    assert found(client.post("/graphql", json=body)) == {"__typename": "Query"}


def test_other_ways_to_ask_are_refused(client: Client) -> None:
    refused(client.post("/graphql", content="{}"), 415, "UNSUPPORTED_MEDIA_TYPE")
    form = client.post("/graphql", data={"query": "{ me { id } }"})
    refused(form, 415, "UNSUPPORTED_MEDIA_TYPE")
    refused(client.put("/graphql", json={}), 405, "METHOD_NOT_ALLOWED")
    bad = {"Authorization": "Bearer nothing"}
    query = {"query": "{ products { nodes { id } } }"}
    refused(client.post("/graphql", json=query, headers=bad), 401, "UNAUTHENTICATED")
    refused(client.post("/graphql?query=x", json=query), 400, "MALFORMED_REQUEST")


def test_an_answer_says_and_keeps_how_far_it_has_seen(ask: Ask, staff: Person, post: Post) -> None:
    product = list_product(staff)
    changed = staff.ask("PATCH", f"/products/{product}", {"name": "Renamed"})
    position = changed.headers["daybook-position"]
    question = "query($id: UUID!) { product(id: $id) { name } users(first: 1) { nodes { id } } }"
    insist = {"Daybook-Min-Position": position, "Prefer": "wait=0"}
    behind = ask(staff, question, headers=insist, id=product)
    assert codes(behind)[0] == "VIEW_BEHIND"
    post()
    answer = ask(staff, question, headers=insist, id=product)
    assert found(answer)["product"]["name"] == "Renamed"
    assert int(answer.headers["daybook-position"]) >= int(position)
    bad = ask(staff, question, headers={"Daybook-Min-Position": "soon"}, id=product)
    refused(bad, 400, "MALFORMED_REQUEST")


def test_a_fault_shows_nothing_internal(
    ask: Ask, staff: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object, **__: object) -> None:
        raise RuntimeError("select secret from /etc/passwd")

    with monkeypatch.context() as patched:
        patched.setattr("api.graphql.schema.visible_product", broken)
        answer = ask(staff, f'{{ product(id: "{uuid4()}") {{ id }} }}')
    assert codes(answer) == ["INTERNAL_ERROR"]
    assert "secret" not in answer.text


def test_the_schema_is_told_in_development_alone(
    client: Client, ask: Ask, database_url: str, tokens: Tokens
) -> None:
    question = "{ __schema { types { name } } }"
    assert found(ask(None, question))["__schema"]["types"]
    page = client.get("/graphql")
    assert "/graphql/explorer.js" in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]
    for asset in ("/graphql/explorer.js", "/docs/docs.css"):
        assert client.get(asset).status_code == 200
        assert "http://" not in client.get(asset).text.replace("http://www.w3.org", "")
    with TestClient(new_app(database_url, tokens, development=False)) as production:
        for hidden in (question, '{ __type(name: "User") { name } }'):
            refusal = production.post("/graphql", json={"query": hidden})
            assert refusal.status_code == 400
        misspelt = production.post("/graphql", json={"query": "{ product { id } produkt }"})
        assert "Did you mean" not in misspelt.text
        refused(production.get("/graphql"), 405, "METHOD_NOT_ALLOWED")
        refused(production.get("/graphql/explorer.js"), 404, "NOT_FOUND")
        typename = {"query": "{ __typename products(first: 1) { nodes { __typename } } }"}
        assert production.post("/graphql", json=typename).status_code == 200


def test_the_schema_file_is_the_schema() -> None:
    """`make schemas` writes it anew."""
    assert FILE.read_text() == schema_with(introspection=True).as_str() + "\n"
