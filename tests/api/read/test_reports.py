"""The sales report: by day, product and customer, and what is not a sale any more."""

from datetime import UTC, datetime
from uuid import uuid4

import pytest

from tests.api.conftest import (
    Client,
    Json,
    Person,
    data_of,
    list_product,
    place_order,
    register,
)
from tests.api.read.conftest import Post


@pytest.fixture
def buyer(client: Client) -> Person:
    """Somebody who has bought nothing yet."""
    return register(client)


def rows_of(staff: Person, query: str) -> list[Json]:
    answer = staff.ask("GET", f"/reports/sales?limit=100&{query}")
    found: list[Json] = answer.json()["data"]
    assert int(answer.headers["daybook-position"]) > 0
    assert answer.json()["pagination"]["total"] >= len(found)
    return found


def test_a_customer_s_sales_are_counted(buyer: Person, staff: Person, post: Post) -> None:
    place_order(buyer, list_product(staff, amount="0.0125"), quantity=1)
    place_order(buyer, list_product(staff, amount="10.00"), quantity=3)
    post()
    (row,) = [one for one in rows_of(staff, "groupBy=customer") if one["userId"] == buyer.id]
    assert row == {
        "userId": buyer.id,
        "name": "Ada Lovelace",
        "orders": 2,
        "units": 4,
        "revenue": {"amount": "30.01", "currency": "GBP"},
    }


def test_a_product_s_revenue_is_exact(buyer: Person, staff: Person, post: Post) -> None:
    product = list_product(staff, amount="0.0125")
    place_order(buyer, product, quantity=1)
    post()
    (row,) = [one for one in rows_of(staff, "groupBy=product") if one["productId"] == product]
    assert row["revenue"]["amount"] == "0.0125"
    assert (row["orders"], row["units"], row["name"]) == (1, 1, "A thing")


def test_a_cancelled_order_is_no_sale(buyer: Person, staff: Person, post: Post) -> None:
    product = list_product(staff)
    order = place_order(buyer, product)
    data_of(buyer.ask("POST", f"/orders/{order}/cancellation", {"reason": "no"}))
    post()
    assert product not in {one["productId"] for one in rows_of(staff, "groupBy=product")}
    assert buyer.id not in {one["userId"] for one in rows_of(staff, "groupBy=customer")}


def test_both_ends_of_a_period_count(buyer: Person, staff: Person, post: Post) -> None:
    place_order(buyer, list_product(staff))
    post()
    today = datetime.now(UTC).date().isoformat()
    (row,) = rows_of(staff, f"groupBy=day&from={today}&to={today}")
    assert row["date"] == today
    assert rows_of(staff, f"groupBy=day&from=2000-01-01&to={today}")
    assert rows_of(staff, "groupBy=day&to=2000-01-01") == []
    assert rows_of(staff, "groupBy=day&from=2026-02-02&to=2026-02-01") == []


def test_currencies_are_kept_apart(buyer: Person, staff: Person, post: Post) -> None:
    place_order(buyer, list_product(staff, amount="1.00"))
    price = {"amount": "100", "currency": "JPY"}
    body = {"sku": uuid4().hex, "name": "Yen", "price": price, "stock": None}
    place_order(buyer, data_of(staff.ask("POST", "/products", body))["id"], quantity=1_000)
    post()
    rows = [one for one in rows_of(staff, "groupBy=customer") if one["userId"] == buyer.id]
    assert sorted((row["revenue"]["amount"], row["revenue"]["currency"]) for row in rows) == [
        ("100000", "JPY"),
        ("2.00", "GBP"),
    ]


def test_a_report_is_a_list_like_the_others(staff: Person, post: Post) -> None:
    post()
    rows = rows_of(staff, "groupBy=product&sortBy=units&sortOrder=desc&fields=units")
    units = [row["units"] for row in rows]
    assert units == sorted(units, reverse=True)
    assert all(list(row) == ["units"] for row in rows)
