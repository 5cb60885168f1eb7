"""Lists: pages, order, fields and filters; whatever is not understood is refused by name."""

from urllib.parse import quote

import pytest

from api.read.lists import ListQuery
from tests.api.conftest import Client, Person, data_of, list_product, place_order, refused
from tests.api.read.conftest import Post

BAD = [
    ("/products", "page=0", "page"),
    ("/products", "page=-1", "page"),
    ("/products", "page=abc", "page"),
    ("/products", "page=1e9", "page"),
    ("/products", "page=100000000000000000000000", "page"),
    ("/products", "page=%D9%A1", "page"),
    ("/products", "page=+1", "page"),
    ("/products", "page", "page"),
    ("/products", "page=", "page"),
    ("/products", "page=101&limit=100", "page"),
    ("/products", "limit=0", "limit"),
    ("/products", "limit=101", "limit"),
    ("/products", "limit=1000000", "limit"),
    ("/products", "page=1&page=2", "page"),
    ("/products", "colour=red", "colour"),
    ("/products", "sortBy=version", "sortBy"),
    ("/products", "sortBy=price;drop", "sortBy"),
    ("/products", "sortOrder=up", "sortOrder"),
    ("/products", "fields=id,passwordHash", "fields"),
    ("/products", "fields=id,", "fields"),
    ("/products", "minPrice=1e3", "minPrice"),
    ("/products", "minPrice=-1", "minPrice"),
    ("/products", "minPrice=1,5", "minPrice"),
    ("/products", "maxPrice=NaN", "maxPrice"),
    ("/products", "inStock=yes", "inStock"),
    ("/products", "name=%00", "name"),
    ("/products", "name=" + "x" * 255, "name"),
    ("/orders", "status=lost", "status"),
    ("/orders", "userId=me", "userId"),
    ("/orders", "userId={01900000-0000-7000-8000-00000000a11c}", "userId"),
    ("/orders", "productId=1", "productId"),
    ("/orders", "placedFrom=yesterday", "placedFrom"),
    ("/orders", "placedFrom=2026-02-30", "placedFrom"),
    ("/orders", "placedFrom=2026-01-01T10:00:00", "placedFrom"),
    ("/orders", "placedFrom=2026-01-01T10:00:00+01:00", "placedFrom"),
    ("/orders", "placedTo=9999-12-31", "placedTo"),
    ("/users", "role=root", "role"),
    ("/users", "status=open", "status"),
    ("/reports/sales", "from=2026-01-01", "groupBy"),
    ("/reports/sales", "groupBy=month", "groupBy"),
    ("/reports/sales", "groupBy=day&from=2026-01-01T00:00:00Z", "from"),
    ("/reports/sales", "groupBy=day&sortBy=name", "sortBy"),
    ("/reports/sales", "groupBy=product&fields=date", "fields"),
]


@pytest.mark.parametrize(("path", "query", "name"), BAD)
def test_a_bad_parameter_is_refused_by_name(
    staff: Person, path: str, query: str, name: str
) -> None:
    error = refused(staff.ask("GET", f"{path}?{query}"), 400, "MALFORMED_REQUEST")
    assert [detail["field"] for detail in error["details"]] == [name]
    assert len(error["details"][0]["message"]) < 200


def test_a_query_that_is_not_utf_8_is_refused(client: Client) -> None:
    refused(client.get("/api/v1/products?name=%ff"), 400, "MALFORMED_REQUEST")


def test_the_deepest_page_is_answered(client: Client) -> None:
    answer = client.get("/api/v1/products?page=100&limit=100")
    assert answer.json()["data"] == []


def test_a_page_knows_where_it_lies(client: Client, staff: Person, post: Post) -> None:
    for _ in range(3):
        list_product(staff)
    post()
    first = client.get("/api/v1/products?limit=2")
    total = first.json()["pagination"]["total"]
    assert first.json()["pagination"] == {
        "page": 1, "limit": 2, "total": total, "totalPages": -(-total // 2),
        "hasNext": True, "hasPrev": False,
    }  # fmt: skip
    last = client.get(f"/api/v1/products?limit=2&page={-(-total // 2)}").json()["pagination"]
    assert (last["hasNext"], last["hasPrev"]) == (False, True)
    assert int(first.headers["daybook-position"]) > 0
    assert "etag" not in first.headers


def test_pages_together_hold_every_row_once(client: Client, staff: Person, post: Post) -> None:
    for amount in ("1.00", "1.00", "1.00", "2.00"):
        list_product(staff, amount=amount)
    post()
    total = client.get("/api/v1/products?limit=1").json()["pagination"]["total"]
    found: list[str] = []
    for page in range(1, total + 1):
        path = f"/api/v1/products?sortBy=price&limit=1&page={page}&fields=id"
        found += [one["id"] for one in client.get(path).json()["data"]]
    assert len(found) == len(set(found)) == total


@pytest.mark.parametrize("order", ["asc", "desc"])
def test_a_list_is_sorted_as_asked(client: Client, staff: Person, post: Post, order: str) -> None:
    for amount in ("10.00", "9.00", "100.00"):
        list_product(staff, amount=amount)
    post()
    answer = client.get(f"/api/v1/products?sortBy=price&sortOrder={order}&limit=100")
    prices = [float(one["price"]["amount"]) for one in answer.json()["data"]]
    assert prices == sorted(prices, reverse=order == "desc")


def test_only_the_fields_that_are_asked_for_come(client: Client, staff: Person, post: Post) -> None:
    list_product(staff)
    post()
    rows = client.get("/api/v1/products?fields=price,sku").json()["data"]
    assert all(list(row) == ["price", "sku"] for row in rows)


def named(staff: Person, name: str, amount: str = "2.50", stock: int | None = 1) -> str:
    price = {"amount": amount, "currency": "GBP"}
    body = {"sku": f"SKU-{name}", "name": name, "price": price, "stock": stock}
    found: str = data_of(staff.ask("POST", "/products", body))["id"]
    return found


def test_metacharacters_in_a_filter_are_literal(client: Client, staff: Person, post: Post) -> None:
    wanted = {text: named(staff, f"Lamp {text}") for text in ("50%", "a_b", "back\\slash", "O'Hé")}
    other = named(staff, "Lamp 50 axb backslash")
    post()
    for text, product in wanted.items():
        rows = client.get(f"/api/v1/products?name={quote(text.upper())}").json()["data"]
        assert [row["id"] for row in rows] == [product]
    found = client.get("/api/v1/products?name=lamp&limit=100").json()["data"]
    assert {row["id"] for row in found} == {*wanted.values(), other}


def test_products_are_filtered(client: Client, staff: Person, post: Post) -> None:
    cheap = named(staff, "Filtered cheap", "0.0125", stock=0)
    dear = named(staff, "Filtered dear", "900000000000.00", stock=None)
    post()

    def found(query: str) -> set[str]:
        rows = client.get(f"/api/v1/products?name=filtered&{query}").json()["data"]
        return {row["id"] for row in rows}

    assert found("maxPrice=0.0125") == {cheap}
    assert found("maxPrice=0.0124") == set()
    assert found("minPrice=900000000000") == {dear}
    assert found("inStock=false") == {cheap}
    assert found("inStock=true") == {dear}
    assert found("sku=SKU-Filtered%20dear") == {dear}
    assert found("sku=sku-filtered%20dear") == set()
    rows = client.get(f"/api/v1/products/{cheap}").json()["data"]
    assert rows["price"] == {"amount": "0.0125", "currency": "GBP"}


def test_orders_are_filtered(customer: Person, staff: Person, post: Post) -> None:
    product = list_product(staff, amount="7.77")
    order = place_order(customer, product, quantity=3)
    post()
    row = data_of(customer.ask("GET", f"/orders/{order}"))
    day, placed = row["placedAt"][:10], row["placedAt"]

    def found(query: str) -> list[str]:
        rows = customer.ask("GET", f"/orders?productId={product}&{query}").json()["data"]
        return [one["id"] for one in rows]

    assert found("") == [order]
    assert found("status=placed") == [order]
    assert found("status=paid") == []
    assert found("minTotal=23.31&maxTotal=23.31") == [order]
    assert found("minTotal=23.32") == []
    assert found(f"placedFrom={day}&placedTo={day}") == [order]
    assert found(f"placedFrom={placed}") == [order]
    assert found(f"placedTo={placed}") == []
    assert found("placedFrom=2026-01-01T00:00:00%2B02:00") == [order]


def test_users_are_filtered(customer: Person, staff: Person, post: Post) -> None:
    post()
    part = customer.email[5:15].upper()
    rows = staff.ask("GET", f"/users?email={part}&role=customer&status=active").json()["data"]
    assert [row["id"] for row in rows] == [customer.id]
    assert staff.ask("GET", f"/users?email={part}&role=staff").json()["data"] == []
    assert staff.ask("GET", "/users?email=%25").json()["data"] == []


def test_administrators_see_sessions_and_orders(
    customer: Person, staff: Person, admin: Person, post: Post
) -> None:
    place_order(customer, list_product(staff))
    customer.sign_in()
    post()
    (row,) = admin.ask("GET", f"/admin/users?email={customer.email}").json()["data"]
    assert row["sessions"] >= 2
    assert row["orders"] >= 1
    assert row["lastLoginAt"].endswith("Z")
    (plain,) = staff.ask("GET", f"/users?email={customer.email}").json()["data"]
    assert set(row) - set(plain) == {"lastLoginAt", "sessions", "orders"}
    assert not {"password", "passwordHash"} & set(row)


def test_every_filter_has_a_value_and_every_default_a_sort() -> None:
    from api.read import orders, products, reports, users  # noqa: PLC0415 - the lists of them all

    queries: list[ListQuery] = [users.LIST, users.ADMIN_LIST, products.LIST, orders.LIST]
    queries += reports.QUERIES.values()
    for query in queries:
        assert set(query.listing.filters) <= set(query.values)
        assert query.listing.default_sort in query.listing.sorts
