"""Sales by customer: how many orders and units each customer bought, and for how much."""

from collections.abc import Iterable, Sequence
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Date,
    Integer,
    MetaData,
    Numeric,
    Select,
    Table,
    Text,
    Uuid,
    bindparam,
    cast,
    func,
    select,
)

from domain import user
from event_store.records import Recorded
from projections.amounts import MoneyView, money_view
from projections.listing import Listing, as_is
from projections.projection import Place, Projection, Row, Rows
from projections.sales import EVENTS, booking_of, day_of, row_to_add_to, units_of

METADATA = MetaData()
SALES = Table(
    "sales_by_customer_v1",
    METADATA,
    Column("user_id", Uuid, primary_key=True),
    Column("day", Date, primary_key=True),
    Column("currency", Text, primary_key=True),
    Column("orders", Integer),
    Column("units", BigInteger),
    Column("revenue", Numeric),
)
NAMES = Table(
    "sales_by_customer_names_v1",
    METADATA,
    Column("user_id", Uuid, primary_key=True),
    Column("name", Text),
)


def needs(recorded: Recorded) -> Iterable[Place]:
    """Name the row of a sale's customer and day, or of a user's name."""
    if booking := booking_of(recorded):
        sale, _ = booking
        yield SALES, (sale.user_id, day_of(sale), sale.total.currency)
    else:
        yield NAMES, (recorded.stream_id,)


def fold(rows: Rows, recorded: Recorded) -> None:
    """Enter a sale or take it out; keep the customers' names."""
    match recorded.event:
        case user.UserRegistered(_, name) | user.UserImported(_, name):
            rows.put(NAMES, {"user_id": recorded.stream_id, "name": name})
        case user.UserRenamed(name):
            rows.change(NAMES, recorded.stream_id)["name"] = name
    booking = booking_of(recorded)
    if booking is None:
        return
    sale, sign = booking
    key = (sale.user_id, day_of(sale), sale.total.currency)
    row = row_to_add_to(rows, SALES, key, lambda: empty_row(*key))
    row["orders"] += sign
    row["units"] += sign * units_of(sale)
    row["revenue"] += sign * sale.total.amount


def empty_row(user_id: UUID, day: date, currency: str) -> Row:
    """Return the row of a customer who bought nothing on a day yet."""
    return {
        "user_id": user_id,
        "day": day,
        "currency": currency,
        "orders": 0,
        "units": 0,
        "revenue": Decimal(),
    }


PROJECTION = Projection(
    name="sales_by_customer",
    version=1,
    tables=[SALES, NAMES],
    events=[*EVENTS, user.UserRegistered, user.UserImported, user.UserRenamed],
    needs=needs,
    fold=fold,
)


class CustomerSalesView(msgspec.Struct, frozen=True, rename="camel"):
    """What a customer bought in one currency."""

    user_id: UUID
    name: str
    orders: int
    units: int
    revenue: MoneyView


def customer_sales_view(row: Row) -> CustomerSalesView:
    """Show a row."""
    return CustomerSalesView(
        row["user_id"],
        row["name"],
        row["orders"],
        row["units"],
        money_view(row["revenue"], row["currency"]),
    )


def totals_by_customer(conditions: Sequence[ColumnElement[bool]]) -> Select[Any]:
    """Return the sums over the days, of customers who bought on them."""
    sums = (
        select(
            SALES.c.user_id,
            SALES.c.currency,
            func.sum(SALES.c.orders).label("orders"),
            cast(func.sum(SALES.c.units), BigInteger).label("units"),
            func.sum(SALES.c.revenue).label("revenue"),
        )
        .where(*conditions)
        .group_by(SALES.c.user_id, SALES.c.currency)
        .having(func.sum(SALES.c.orders) > 0)
        .subquery("sums")
    )
    return select(*sums.c, NAMES.c.name).select_from(
        sums.join(NAMES, NAMES.c.user_id == sums.c.user_id)
    )


LISTING = Listing(
    projection=PROJECTION,
    select=totals_by_customer,
    filters={
        "from": (SALES.c.day >= bindparam("from"), as_is),
        "to": (SALES.c.day <= bindparam("to"), as_is),
    },
    sorts={"revenue": "revenue", "units": "units", "orders": "orders", "name": "name"},
    tie=["user_id", "currency"],
    default_sort="revenue",
    whole=True,
)
