"""Who may see what: every route of the read side with every role (ASVS 8.2.1)."""

from uuid import uuid4

import httpx
import pytest

from api.read import handlers as read_side
from tests.api.conftest import PASSWORD, Client, Person, list_product, place_order, refused
from tests.api.permissions import PAST_TO_AUDITORS, ROUTES
from tests.api.permissions import VIEWS as WHO
from tests.api.read.conftest import Post

# What a customer sends who wants to do something with what is another's; none: no body.
BODIES: dict[str, object] = {
    "PUT /users/{user_id:str}": {"email": "mallory@example.com", "name": "Mallory"},
    "PATCH /users/{user_id:str}": {"name": "Mallory"},
    "DELETE /users/{user_id:str}": None,
    "DELETE /users/{user_id:str}/personal-data": None,
    "PUT /users/{user_id:str}/password": {
        "currentPassword": PASSWORD,
        "newPassword": "a better password",
    },
    "POST /users/{user_id:str}/orders": {
        "items": [{"productId": "01900000-0000-7000-8000-000000000001", "quantity": 1}]
    },
    "POST /orders/{order_id:str}/cancellation": {"reason": "not mine"},
}


def test_every_route_is_in_the_table() -> None:
    assert {path for handler in read_side.HANDLERS for path in handler.paths} == set(WHO)


@pytest.mark.parametrize("path", WHO)
def test_only_those_listed_get_past_the_door(  # noqa: PLR0913, PLR0917 - a person of each role
    client: Client, customer: Person, staff: Person, auditor: Person, admin: Person, path: str
) -> None:
    people = {"customer": customer, "staff": staff, "auditor": auditor, "admin": admin}
    where = path
    for name in ("user_id", "product_id", "order_id"):
        where = where.replace(f"{{{name}:str}}", str(uuid4()))
    where = where.replace("{reaction:str}", "welcome_mail").replace("{position:int}", "1")
    where = where.replace("{projection:str}", "orders").replace("{rebuild_id:int}", "1")
    where = where.replace("{operation_id:str}", str(uuid4())).replace("{operation_id:int}", "1")
    # A parameter that is never valid: whoever gets past the door is told so, or finds nothing.
    for role, person in people.items():
        past = "&asOf=1" if role == "auditor" and path in PAST_TO_AUDITORS else ""
        status = asked(client, person, f"{where}?fields=no{past}").status_code
        assert status in ({400, 404} if role in WHO[path] else {403}), role
    status = client.get(f"{where}?fields=no").status_code
    assert status in ({400, 404} if "anonymous" in WHO[path] else {401})


@pytest.mark.parametrize(
    ("method", "path"),
    [
        (method, path)
        for (method, path), who in ROUTES.items()
        if "customer" in who and ("{user_id" in path or "{order_id" in path)
    ],
)
def test_no_route_gives_a_customer_what_is_anothers(  # noqa: PLR0913, PLR0917 - two, and what is whose
    client: Client,
    customer: Person,
    stranger: Person,
    staff: Person,
    post: Post,
    method: str,
    path: str,
) -> None:
    order = place_order(customer, list_product(staff))
    post()
    body = None if method == "GET" else BODIES[f"{method} {path.removeprefix('/api/v1')}"]
    where = path.replace("{user_id:str}", customer.id).replace("{order_id:str}", order)
    headers = {"Authorization": f"Bearer {stranger.access_token}"}
    sent: dict[str, object] = {} if body is None else {"json": body}
    for version in (None, "*", '"1"', '"987654321"'):  # nor does it tell its version
        wanted = headers if version is None else {**headers, "If-Match": version}
        answer = client.request(method, where, headers=wanted, **sent)
        assert "details" not in refused(answer, 404, "NOT_FOUND")


def asked(client: Client, person: Person, path: str) -> httpx.Response:
    """Ask for a path of any version."""
    return client.get(path, headers={"Authorization": f"Bearer {person.access_token}"})


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_what_is_somebody_elses_does_not_exist(  # noqa: PLR0913, PLR0917 - a person of each role
    client: Client,
    customer: Person,
    stranger: Person,
    auditor: Person,
    staff: Person,
    post: Post,
    version: str,
) -> None:
    order = place_order(customer, list_product(staff))
    post()
    for path in (f"orders/{order}", f"users/{customer.id}", f"users/{customer.id}/orders"):
        where = f"/api/{version}/{path}"
        refused(asked(client, stranger, where), 404, "NOT_FOUND")
        refused(asked(client, auditor, where), 404, "NOT_FOUND")
        assert asked(client, customer, where).status_code == 200
        assert asked(client, staff, where).status_code == 200


DECISIONS = {"NOT_FOUND": 404, "FORBIDDEN": 403, "UNAUTHENTICATED": 401}


def test_both_versions_streams_and_graphql_decide_alike(  # noqa: PLR0913, PLR0917 - everybody asks
    client: Client,
    customer: Person,
    stranger: Person,
    staff: Person,
    auditor: Person,
    admin: Person,
    post: Post,
) -> None:
    """ASVS 6.3.4: no way in is wider than another."""
    product, withdrawn = list_product(staff), list_product(staff)
    order = place_order(customer, product)
    staff.ask("DELETE", f"/products/{withdrawn}")
    post()
    things = [("order", order), ("user", customer.id), ("product", product), ("product", withdrawn)]
    things += [(kind, str(uuid4())) for kind in ("order", "user", "product")]
    lists = ["orders", f"orders?userId={customer.id}", f"users/{customer.id}/orders", "users"]
    lists += ["admin/users", "users/me", "products?status=withdrawn", "reports/sales?groupBy=day"]
    seen = dict[tuple[str, str], list[int]]()
    for person in (None, customer, stranger, staff, auditor, admin):
        signed = {"Authorization": f"Bearer {person.access_token}"} if person else {}
        for kind, one in things:
            ways = [
                client.get(f"/api/{version}/{kind}s/{one}", headers=signed).status_code
                for version in ("v1", "v2")
            ]
            if kind == "order":
                stream = client.head(f"/api/v1/orders/{one}/events", headers=signed)
                ways.append(stream.status_code)
            query = {"query": f'{{ {kind}(id: "{one}") {{ id }} }}'}
            answer = client.post("/graphql", json=query, headers=signed).json()
            codes = [error["extensions"]["code"] for error in answer.get("errors", ())]
            ways.append(DECISIONS[codes[0]] if codes else 200)
            assert len(set(ways)) == 1, (kind, ways)
            seen.setdefault((kind, one), []).append(ways[0])
        for path in lists:
            first, second = (
                client.get(f"/api/{version}/{path}", headers=signed) for version in ("v1", "v2")
            )
            assert first.status_code == second.status_code, path
    assert seen["order", order] == [401, 200, 404, 200, 404, 200]
    assert seen["user", customer.id] == [401, 200, 404, 200, 404, 200]
    assert seen["product", withdrawn] == [404, 404, 404, 200, 404, 200]


def test_a_list_of_orders_holds_one_s_own(
    customer: Person, stranger: Person, auditor: Person, staff: Person, post: Post
) -> None:
    mine, theirs = (
        place_order(customer, list_product(staff)),
        place_order(stranger, list_product(staff)),
    )
    post()
    for person, seen in ((customer, {mine}), (stranger, {theirs}), (staff, {mine, theirs})):
        found = {one["id"] for one in person.ask("GET", "/orders?limit=100").json()["data"]}
        assert seen <= found
        assert person is staff or not ({mine, theirs} - seen) & found
    assert auditor.ask("GET", "/orders").json()["data"] == []


def test_a_customer_cannot_ask_for_the_orders_of_another(
    customer: Person, stranger: Person, staff: Person
) -> None:
    path = f"/orders?userId={stranger.id}"
    refused(customer.ask("GET", path), 403, "FORBIDDEN")
    assert customer.ask("GET", f"/orders?userId={customer.id}").status_code == 200
    assert staff.ask("GET", path).status_code == 200


def test_only_staff_see_notes(customer: Person, staff: Person, post: Post) -> None:
    order = place_order(customer, list_product(staff))
    staff.ask("POST", f"/orders/{order}/notes", {"text": "Careful."})
    post()
    path = f"/orders/{order}"
    assert staff.ask("GET", path).json()["data"]["notes"][0]["text"] == "Careful."
    assert "notes" not in customer.ask("GET", path).json()["data"]
    assert customer.ask("GET", f"{path}?fields=id,notes").json()["data"] == {"id": order}
    own = customer.ask("GET", "/orders?limit=100").json()["data"]
    assert all("notes" not in one for one in own)


def test_a_withdrawn_product_is_there_for_staff_alone(
    client: Client, customer: Person, staff: Person, post: Post
) -> None:
    product = list_product(staff)
    staff.ask("DELETE", f"/products/{product}")
    post()
    refused(client.get(f"/api/v1/products/{product}"), 404, "NOT_FOUND")
    refused(customer.ask("GET", f"/products/{product}"), 404, "NOT_FOUND")
    assert staff.ask("GET", f"/products/{product}").json()["data"]["status"] == "withdrawn"
    listed = client.get("/api/v1/products?limit=100").json()["data"]
    assert product not in {one["id"] for one in listed}
    found = staff.ask("GET", "/products?status=withdrawn").json()["data"]
    assert product in {one["id"] for one in found}
    refused(client.get("/api/v1/products?status=withdrawn"), 401, "UNAUTHENTICATED")
    refused(customer.ask("GET", "/products?status=withdrawn"), 403, "FORBIDDEN")


def test_the_orders_of_nobody_do_not_exist(staff: Person) -> None:
    refused(staff.ask("GET", f"/users/{uuid4()}/orders"), 404, "NOT_FOUND")
