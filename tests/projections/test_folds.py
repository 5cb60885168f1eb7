"""Given events, then rows: each projection in memory alone."""

from datetime import date
from decimal import Decimal

import msgspec
import pytest
from sqlalchemy import Table

from domain import order, session, user
from projections import orders, products, sales_by_customer, sales_by_day, sales_by_product, users
from projections.amounts import money_view, plain_digits
from projections.projection import Projection, Rows, fold_page, key_of
from projections.switched_on import PROJECTIONS
from tests.domain.given import ALICE, BOB, LANTERN, NOON, ORDER, TEAPOT
from tests.projections.given import (
    INVOICE,
    LATE,
    LINES,
    NEXT_MONTH,
    SALE,
    SECOND_ORDER,
    SESSION,
    STORY,
    TOTAL,
    Story,
    only,
    recorded,
    rows_of,
)


def test_users_are_who_they_became() -> None:
    rows = rows_of(users.PROJECTION, STORY)
    alice = only(rows, users.USERS, ALICE)
    assert (alice["name"], alice["email"], alice["role"]) == (
        "Alice A.",
        "a@example.com",
        "customer",
    )
    assert alice["version"] == 5
    assert alice["orders"] == 2
    assert alice["last_login_at"] == NOON
    assert list(alice["sessions"]) == [str(SESSION)]
    bob = only(rows, users.USERS, BOB)
    assert (bob["role"], bob["orders"], bob["last_login_at"]) == ("customer", 1, None)


@pytest.mark.parametrize(
    ("event", "status"),
    [(user.UserClosed(), "closed"), (user.UserRoleChanged("staff", "customer"), "active")],
)
def test_a_closed_account_or_another_role_has_no_sessions(event: user.Event, status: str) -> None:
    story: Story = [
        STORY[0],
        (SESSION, session.SessionStarted(ALICE, 1, "x", NEXT_MONTH)),
        (ALICE, event),
    ]
    row = only(rows_of(users.PROJECTION, story), users.USERS, ALICE)
    assert (row["status"], row["sessions"]) == (status, {})


def test_only_sessions_that_have_not_expired_are_open() -> None:
    row = only(rows_of(users.PROJECTION, STORY[:6]), users.USERS, ALICE)
    shown = row | {"sessions": msgspec.json.encode(row["sessions"]).decode()}
    assert users.admin_view(shown, NOON).sessions == 2
    assert users.admin_view(shown, NEXT_MONTH).sessions == 0


def test_products_have_their_price_and_what_is_left() -> None:
    rows = rows_of(products.PROJECTION, STORY)
    teapot = only(rows, products.PRODUCTS, TEAPOT)
    assert (teapot["name"], teapot["price"], teapot["stock"]) == ("Blue teapot", Decimal("5.00"), 9)
    assert (teapot["version"], teapot["status"]) == (6, "for_sale")
    lantern = only(rows, products.PRODUCTS, LANTERN)
    assert (lantern["stock"], lantern["status"]) == (None, "withdrawn")


def test_an_order_shows_its_steps() -> None:
    rows = rows_of(orders.PROJECTION, STORY)
    row = only(rows, orders.ORDERS, ORDER)
    assert (row["status"], row["total"], row["units"], row["version"]) == (
        "delivered",
        Decimal("8.54"),
        5,
        5,
    )
    assert row["payment"] == orders.PaymentView("R-1", NOON)
    assert row["shipment"] == orders.ShipmentView("Royal Mail", "RM1", NOON)
    assert row["notes"] == [orders.NoteView('Say "hello"\nand ünïcode \\ too', NOON)]
    assert [item.amount.amount for item in row["lines"]] == ["8.50", "0.0375"]
    assert only(rows, orders.ORDERS, SECOND_ORDER)["cancellation"].reason == "twice"


def test_an_imported_order_is_delivered_when_it_was_placed() -> None:
    row = only(rows_of(orders.PROJECTION, STORY), orders.ORDERS, INVOICE)
    assert (row["status"], row["reference"]) == ("delivered", "536365")
    assert row["placed_at"] == row["delivered_at"] == LATE


def test_a_day_has_the_orders_that_were_placed_on_it() -> None:
    rows = rows_of(sales_by_day.PROJECTION, STORY).all(sales_by_day.SALES)
    assert [(row["day"], row["orders"], row["units"], row["revenue"]) for row in rows] == [
        (date(2026, 11, 22), 1, 2, Decimal("8.50")),
        (date(2026, 11, 23), 1, 5, Decimal("8.54")),
    ]


def test_a_product_s_revenue_is_not_rounded() -> None:
    rows = rows_of(sales_by_product.PROJECTION, STORY)
    row = only(rows, sales_by_product.SALES, LANTERN, NOON.date(), "GBP")
    assert (row["orders"], row["units"], row["revenue"]) == (1, 3, Decimal("0.0375"))
    assert only(rows, sales_by_product.NAMES, TEAPOT)["name"] == "Blue teapot"


def test_a_customer_has_what_they_bought() -> None:
    rows = rows_of(sales_by_customer.PROJECTION, STORY)
    row = only(rows, sales_by_customer.SALES, ALICE, NOON.date(), "GBP")
    assert (row["orders"], row["units"], row["revenue"]) == (1, 5, Decimal("8.54"))
    assert only(rows, sales_by_customer.NAMES, ALICE)["name"] == "Alice A."


SALES = [
    (sales_by_day.PROJECTION, sales_by_day.SALES),
    (sales_by_product.PROJECTION, sales_by_product.SALES),
    (sales_by_customer.PROJECTION, sales_by_customer.SALES),
]


@pytest.mark.parametrize(("projection", "table"), SALES)
def test_a_sale_is_taken_out_once(projection: Projection, table: Table) -> None:
    placed = (ORDER, order.OrderPlaced(ALICE, NOON, LINES, TOTAL))
    undone: list[Story] = [
        [placed, (ORDER, order.OrderCancelled("no", SALE))],
        [placed, (ORDER, order.OrderRefunded("no", TOTAL, SALE))],
        [
            placed,
            (ORDER, order.OrderCancelled("no", SALE)),
            (ORDER, order.OrderRefunded("no", TOTAL, None)),
        ],
    ]
    for story in undone:
        for row in rows_of(projection, story).all(table):
            assert (row["orders"], row["units"], row["revenue"]) == (0, 0, 0)


@pytest.mark.parametrize("projection", PROJECTIONS.values(), ids=PROJECTIONS)
def test_a_page_may_end_anywhere(projection: Projection) -> None:
    wanted = tuple(projection.events)
    events = [one for one in recorded(STORY) if isinstance(one.event, wanted)]
    whole, parts = fold_page(projection, Rows(), events), Rows()
    for event in events:
        fold_page(projection, parts, [event])
    for table in projection.tables:
        assert whole.all(table) == parts.all(table)


@pytest.mark.parametrize("projection", PROJECTIONS.values(), ids=PROJECTIONS)
def test_a_fold_touches_only_rows_that_it_named(projection: Projection) -> None:
    wanted = tuple(projection.events)
    for one in [one for one in recorded(STORY) if isinstance(one.event, wanted)]:
        named = set(projection.needs(one))
        rows = rows_of(projection, STORY[: one.position - 1])
        rows.settle()
        projection.fold(rows, one)
        written = [(table, row) for table, changed in rows.written() for row in changed]
        assert {(table, key_of(table, row)) for table, row in written} <= named


@pytest.mark.parametrize(
    ("amount", "currency", "shown"),
    [
        ("0E+1", "GBP", "0.00"),
        ("2.5", "GBP", "2.50"),
        ("1E+3", "JPY", "1000"),
        ("1000.000", "JPY", "1000"),
        ("0.0125", "GBP", "0.0125"),
        ("0.00", "JPY", "0"),
        ("1.5", "KWD", "1.500"),
        ("0E-9", "GBP", "0.00"),
        ("123456789012345678901234567890.1234", "GBP", "123456789012345678901234567890.1234"),
    ],
)
def test_money_is_shown_in_plain_digits(amount: str, currency: str, shown: str) -> None:
    assert plain_digits(Decimal(amount), currency) == shown
    assert money_view(Decimal(amount), currency).amount == shown
