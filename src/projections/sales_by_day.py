"""Sales by day: how many orders and units were sold on each day, and for how much."""

from collections.abc import Iterable, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

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
    bindparam,
    select,
)

from event_store.records import Recorded
from projections.amounts import MoneyView, money_view
from projections.listing import Listing, as_is
from projections.projection import Place, Projection, Row, Rows
from projections.sales import EVENTS, booking_of, day_of, row_to_add_to, units_of

SALES = Table(
    "sales_by_day_v1",
    MetaData(),
    Column("day", Date, primary_key=True),
    Column("currency", Text, primary_key=True),
    Column("orders", Integer),
    Column("units", BigInteger),
    Column("revenue", Numeric),
)


def needs(recorded: Recorded) -> Iterable[Place]:
    """Name the row of a sale's day and currency."""
    if booking := booking_of(recorded):
        sale, _ = booking
        yield SALES, (day_of(sale), sale.total.currency)


def fold(rows: Rows, recorded: Recorded) -> None:
    """Enter a sale, or take it out."""
    booking = booking_of(recorded)
    if booking is None:
        return
    sale, sign = booking
    key = (day_of(sale), sale.total.currency)
    row = row_to_add_to(rows, SALES, key, lambda: empty_row(*key))
    row["orders"] += sign
    row["units"] += sign * units_of(sale)
    row["revenue"] += sign * sale.total.amount


def empty_row(day: date, currency: str) -> Row:
    """Return the row of a day on which nothing was sold yet."""
    return {"day": day, "currency": currency, "orders": 0, "units": 0, "revenue": Decimal()}


PROJECTION = Projection(
    name="sales_by_day", version=1, tables=[SALES], events=EVENTS, needs=needs, fold=fold
)


class DayView(msgspec.Struct, frozen=True):
    """What was sold on a day (UTC) in one currency."""

    date: date
    orders: int
    units: int
    revenue: MoneyView


def day_view(row: Row) -> DayView:
    """Show a row."""
    revenue = money_view(row["revenue"], row["currency"])
    return DayView(row["day"], row["orders"], row["units"], revenue)


def days_with_sales(conditions: Sequence[ColumnElement[bool]]) -> Select[Any]:
    """Return the days; one whose sales were all taken out again is not shown."""
    return select(*SALES.columns).where(SALES.c.orders > 0, *conditions)


LISTING = Listing(
    projection=PROJECTION,
    select=days_with_sales,
    filters={
        "from": (SALES.c.day >= bindparam("from"), as_is),
        "to": (SALES.c.day <= bindparam("to"), as_is),
    },
    sorts={"date": "day", "orders": "orders", "units": "units", "revenue": "revenue"},
    tie=["day", "currency"],
    default_sort="date",
    default_descending=False,
)
