"""Sales by day: how many orders and units were sold on each day, and for how much."""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
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

from projections.amounts import MoneyView, money_view
from projections.listing import Listing
from projections.projection import Projection, Row
from projections.sales import counters, period, sums_of_sales
from projections.sums import Fact, LineFact

SALES = Table(
    "sales_by_day_v1",
    MetaData(),
    Column("day", Date, primary_key=True),
    Column("currency", Text, primary_key=True),
    *counters(),
)


SUMS = sums_of_sales(
    SALES, {}, units=LineFact("quantity", int), revenue=Fact("total.amount", Decimal)
)

PROJECTION = Projection(
    name="sales_by_day",
    version=1,
    tables=[SALES],
    events=list(SUMS.entries),
    key="day",
    needs=SUMS.needs,
    fold=SUMS.fold,
    sums=SUMS,
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
