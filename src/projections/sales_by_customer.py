"""Sales by customer: how many orders and units each customer bought, and for how much."""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import (
    Column,
    ColumnElement,
    Date,
    MetaData,
    Select,
    Table,
    Text,
    Uuid,
    select,
)

from domain import user
from domain.personal import FORGOTTEN
from event_store.records import Recorded
from projections.amounts import MoneyView, money_view
from projections.listing import Listing
from projections.projection import Place, Projection, Row, Rows
from projections.sales import counters, period, summed, sums_of_sales
from projections.sums import Fact, LineFact

METADATA = MetaData()
SALES = Table(
    "sales_by_customer_v1",
    METADATA,
    Column("user_id", Uuid, primary_key=True),
    Column("day", Date, primary_key=True),
    Column("currency", Text, primary_key=True),
    *counters(),
)
NAMES = Table(
    "sales_by_customer_names_v1",
    METADATA,
    Column("user_id", Uuid, primary_key=True),
    Column("name", Text),
)


SUMS = sums_of_sales(
    SALES,
    {"user_id": Fact("user_id", UUID)},
    units=LineFact("quantity", int),
    revenue=Fact("total.amount", Decimal),
)


def needs(recorded: Recorded) -> Iterable[Place]:
    """Name the row of a sale's customer and day, or of a user's name."""
    if type(recorded.event) in SUMS.entries:
        return SUMS.needs(recorded)
    return [(NAMES, (recorded.stream_id,))]


def fold(rows: Rows, recorded: Recorded) -> None:
    """Enter a sale or take it out; keep the customers' names."""
    match recorded.event:
        case user.UserRegistered(_, name) | user.UserImported(_, name):
            rows.put(NAMES, {"user_id": recorded.stream_id, "name": name})
        case user.UserRenamed(name):
            rows.change(NAMES, recorded.stream_id)["name"] = name
        case user.UserForgotten():
            rows.change(NAMES, recorded.stream_id)["name"] = FORGOTTEN
        case _:
            SUMS.fold(rows, recorded)


PROJECTION = Projection(
    name="sales_by_customer",
    version=1,
    tables=[SALES, NAMES],
    events=[
        *SUMS.entries,
        user.UserRegistered,
        user.UserImported,
        user.UserRenamed,
        user.UserForgotten,
    ],
    key="user_id",
    needs=needs,
    fold=fold,
    sums=SUMS,
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
    sums = summed(SALES, "user_id", conditions)
    return select(*sums.c, NAMES.c.name).select_from(
        sums.join(NAMES, NAMES.c.user_id == sums.c.user_id)
    )


LISTING = Listing(
    projection=PROJECTION,
    rows=totals_by_customer,
    filters=period(SALES),
    sorts={"revenue": ["revenue"], "units": ["units"], "orders": ["orders"], "name": ["name"]},
    tie=["user_id", "currency"],
    default_sort="revenue",
    personal=frozenset({"name"}),
)
