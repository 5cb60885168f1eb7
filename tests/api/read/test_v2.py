"""Version 2: summaries, histories and cursors; version 1 points to it where it differs."""

from uuid import uuid4

import httpx
import pytest

from api.read import handlers as read_side
from tests.api.conftest import (
    Client,
    Json,
    Person,
    data_of,
    list_product,
    place_order,
    refused,
    register,
)
from tests.api.read.conftest import Post


def ask(client: Client, person: Person | None, path: str, **headers: str) -> httpx.Response:
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    if person:
        given["Authorization"] = f"Bearer {person.access_token}"
    return client.get(f"/api/v2{path}", headers=given)


@pytest.fixture
def buyer(client: Client) -> Person:
    """Somebody who has bought nothing yet."""
    return register(client)


def test_a_user_comes_with_their_orders_in_short(
    client: Client, buyer: Person, staff: Person, post: Post
) -> None:
    post()
    before = data_of(ask(client, buyer, "/users/me"))["orderSummary"]
    assert before == {"count": 0, "totalSpent": [], "lastOrder": None}
    place_order(buyer, list_product(staff, amount="0.0125"), quantity=1)
    undone = place_order(buyer, list_product(staff, amount="99.00"), quantity=1)
    yen = {"sku": uuid4().hex, "name": "Yen", "stock": None}
    yen |= {"price": {"amount": "100", "currency": "JPY"}}
    last = place_order(buyer, data_of(staff.ask("POST", "/products", yen))["id"], quantity=3)
    data_of(buyer.ask("POST", f"/orders/{undone}/cancellation", {"reason": "no"}))
    post()
    found = data_of(ask(client, staff, f"/users/{buyer.id}"))
    summary = found["orderSummary"]
    assert summary["count"] == 3
    assert summary["totalSpent"] == [
        {"amount": "0.01", "currency": "GBP"},
        {"amount": "300", "currency": "JPY"},
    ]
    assert summary["lastOrder"]["id"] == last
    assert summary["lastOrder"]["total"] == {"amount": "300", "currency": "JPY"}
    assert summary["lastOrder"]["placedAt"].endswith("Z")
    plain = data_of(staff.ask("GET", f"/users/{buyer.id}"))
    assert {name: value for name, value in found.items() if name != "orderSummary"} == plain


def test_administrators_see_the_same_and_sessions(
    client: Client, buyer: Person, admin: Person, post: Post
) -> None:
    post()
    (row,) = ask(client, admin, f"/admin/users?email={buyer.email}").json()["data"]
    assert row["orderSummary"]["count"] == 0
    assert row["sessions"] == 1
    assert row["lastLoginAt"].endswith("Z")


def test_a_new_order_is_a_new_version_of_a_user(
    client: Client, buyer: Person, staff: Person, post: Post
) -> None:
    post()
    known = ask(client, buyer, "/users/me").headers["etag"]
    assert ask(client, buyer, "/users/me", If_None_Match=known).status_code == 304
    place_order(buyer, list_product(staff))
    post()
    answer = ask(client, buyer, "/users/me", If_None_Match=known)
    assert data_of(answer)["orderSummary"]["count"] == 1
    refused(ask(client, buyer, "/users/me", If_Match=known), 412, "PRECONDITION_FAILED")


def test_an_order_comes_with_names_and_history(
    client: Client, buyer: Person, staff: Person, post: Post
) -> None:
    order = place_order(buyer, list_product(staff, amount="2.50"), quantity=2)
    paid = {"reference": "R", "amount": {"amount": "5.00", "currency": "GBP"}}
    data_of(staff.ask("POST", f"/orders/{order}/payment", paid))
    data_of(staff.ask("POST", f"/orders/{order}/refund", {"reason": "broken"}))
    post()
    found = data_of(ask(client, buyer, f"/orders/{order}"))
    assert [one["status"] for one in found["history"]] == ["placed", "paid", "refunded"]
    times = [one["at"] for one in found["history"]]
    assert times == sorted(times)
    assert times[0] == found["placedAt"]
    assert found["items"][0]["name"] == "A thing"
    assert "notes" not in found
    plain = data_of(buyer.ask("GET", f"/orders/{order}"))
    assert {name: value for name, value in found.items() if name != "history"} == plain


def pages(client: Client, person: Person | None, path: str) -> list[list[Json]]:
    """Follow the cursors of a list to its end."""
    found: list[list[Json]] = []
    where = path
    for _ in range(100):
        body = ask(client, person, where).json()
        assert set(body["pagination"]) == {"next", "prev", "limit"}
        assert (body["pagination"]["prev"] is None) == (not found)
        found.append(body["data"])
        if body["pagination"]["next"] is None:
            return found
        where = f"{path}&cursor={body['pagination']['next']}"
    pytest.fail("the list does not end")


def test_cursors_lead_through_a_list_and_back(client: Client, staff: Person, post: Post) -> None:
    name = f"Walk {uuid4().hex}"
    price = {"amount": "1.00", "currency": "GBP"}
    for number in range(7):
        body = {"sku": uuid4().hex, "name": name, "price": price, "stock": number % 2 or None}
        data_of(staff.ask("POST", "/products", body))
    post()
    for sort in ("stock", "price", "name", "createdAt"):
        path = f"/products?name={name}&limit=3&sortBy={sort}&fields=id"
        found = pages(client, None, path)
        assert [len(page) for page in found] == [3, 3, 1]
        ids = [row["id"] for page in found for row in page]
        assert len(set(ids)) == 7
        last = ask(client, None, path).json()["pagination"]["next"]
        second = ask(client, None, f"{path}&cursor={last}").json()
        back = ask(client, None, f"{path}&cursor={second['pagination']['prev']}").json()
        assert back["data"] == found[0]
        assert back["pagination"]["prev"] is None
        again = ask(client, None, f"{path}&cursor={back['pagination']['next']}").json()
        assert again["data"] == found[1]


def test_rows_that_come_while_paging_are_not_shown_twice_and_hide_none(
    client: Client, buyer: Person, staff: Person, post: Post
) -> None:
    product = list_product(staff, stock=None)
    there = {place_order(buyer, product) for _ in range(6)}
    post()
    for order in ("asc", "desc"):
        seen: list[str] = []
        cursor = ""
        while True:
            path = f"/orders?limit=2&sortOrder={order}{cursor}"
            body = ask(client, buyer, path).json()
            seen += [row["id"] for row in body["data"]]
            if body["pagination"]["next"] is None or len(seen) > 50:
                break
            cursor = f"&cursor={body['pagination']['next']}"
            if len(seen) < 8:
                place_order(buyer, product)
                post()
        assert len(seen) == len(set(seen))
        assert there <= set(seen)


def test_a_cursor_holds_for_its_list_alone(
    client: Client, customer: Person, stranger: Person, staff: Person, post: Post
) -> None:
    product = list_product(staff)
    for person in (customer, stranger):
        for _ in range(2):
            place_order(person, product, quantity=1)
    post()
    body = ask(client, customer, "/orders?limit=1").json()
    cursor = body["pagination"]["next"]
    assert ask(client, customer, f"/orders?limit=50&cursor={cursor}").status_code == 200
    bad = [
        (customer, f"/orders?cursor={cursor}&sortBy=total"),
        (customer, f"/orders?cursor={cursor}&sortOrder=asc"),
        (customer, f"/orders?cursor={cursor}&status=placed"),
        (stranger, f"/orders?cursor={cursor}"),
        (staff, f"/orders?cursor={cursor}"),
        (staff, f"/users?cursor={cursor}"),
        (None, f"/products?cursor={cursor}"),
        (customer, f"/orders?cursor={cursor[:-2]}"),
        (customer, f"/orders?cursor={cursor[2:]}"),
        (customer, f"/orders?cursor={'A' * 40}"),
        (customer, "/orders?cursor=x"),
        (customer, "/orders?cursor="),
        (customer, "/orders?cursor=%00" + "A" * 40),
        (customer, f"/orders?cursor={cursor}&page=2"),
    ]
    for person, path in bad:
        error = refused(ask(client, person, path), 400, "MALFORMED_REQUEST")
        assert error["details"][0]["field"] in {"cursor", "page"}


def test_reports_have_cursors_too(client: Client, buyer: Person, staff: Person, post: Post) -> None:
    for amount in ("1.00", "2.00", "1.00"):
        place_order(buyer, list_product(staff, amount=amount))
    post()
    for group in ("product", "customer", "day"):
        path = f"/reports/sales?groupBy={group}&limit=1"
        found = [row for page in pages(client, staff, path) for row in page]
        whole = staff.ask("GET", f"/reports/sales?groupBy={group}&limit=100").json()["data"]
        assert found == whole


def test_version_1_points_to_its_successor_where_that_differs(
    client: Client, customer: Person, admin: Person, staff: Person, post: Post
) -> None:
    product = list_product(staff)
    order = place_order(customer, product)
    post()
    differing = {
        "/users", "/admin/users", "/users/me", f"/users/{customer.id}", "/orders",
        f"/users/{customer.id}/orders", "/products", f"/orders/{order}",
        "/reports/sales?groupBy=day",
    }  # fmt: skip
    for path in differing:
        answer = admin.ask("GET", path)
        assert answer.status_code == 200
        assert answer.headers["deprecation"].startswith("@")
        successor = f"/api/v2{path.partition('?')[0]}"
        assert answer.headers["link"] == f'<{successor}>; rel="successor-version"'
        newer = ask(client, admin, path)
        assert newer.status_code == 200
        assert "deprecation" not in newer.headers
    same = admin.ask("GET", f"/products/{product}")
    assert "deprecation" not in same.headers
    assert same.json()["data"] == ask(client, None, f"/products/{product}").json()["data"]
    tag = admin.ask("GET", f"/orders/{order}").headers["etag"]
    assert "deprecation" in admin.ask("GET", f"/orders/{order}", If_None_Match=tag).headers


def test_both_versions_have_the_views_of_the_contract() -> None:
    views = {
        "users", "admin/users", "users/me", "users/{user_id:str}", "users/{user_id:str}/orders",
        "products", "products/{product_id:str}", "orders", "orders/{order_id:str}",
        "reports/sales",
    }  # fmt: skip
    paths = {path for handler in read_side.HANDLERS for path in handler.paths}
    assert {path for path in paths if path.startswith("/api/v2")} == {
        f"/api/v2/{one}" for one in views
    }
    assert {f"/api/v1/{one}" for one in views} <= paths
