"""Sales by day: how many orders and units were sold on each day, and for how much."""

from collections.abc import Iterable, Sequence
from datetime import date
from typing import Any

import msgspec
from sqlalchemy import (
    Column,
    ColumnElement,
    Date,
    MetaData,
    Select,
    Table,
    Text,
    select,
)

from event_store.records import Recorded
from projections.amounts import MoneyView, money_view
from projections.listing import Listing
from projections.projection import Place, Projection, Row, Rows
from projections.sales import EVENTS, booking_of, counters, day_of, enter, period, units_of

SALES = Table(
    "sales_by_day_v1",
    MetaData(),
    Column("day", Date, primary_key=True),
    Column("currency", Text, primary_key=True),
    *counters(),
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
    enter(rows, SALES, key, sign=sign, units=units_of(sale), revenue=sale.total.amount)


PROJECTION = Projection(
    name="sales_by_day",
    version=1,
    tables=[SALES],
    events=EVENTS,
    key="day",
    needs=needs,
    fold=fold,
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
    rows=days_with_sales,
    filters=period(SALES),
    sorts={"date": ["day"], "orders": ["orders"], "units": ["units"], "revenue": ["revenue"]},
    tie=["day", "currency"],
    default_sort="date",
    default_descending=False,
)
