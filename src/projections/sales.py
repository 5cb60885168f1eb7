"""What counts as a sale: an order from its placing on the day it was placed, until it is undone.

Money is kept apart by currency. An order's revenue is its total, which was rounded once; that of
a product is the exact sum of its lines, which was not.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, Literal

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Integer,
    Numeric,
    Subquery,
    Table,
    bindparam,
    cast,
    func,
    select,
)

from domain import order
from event_store.event_types import Event
from event_store.records import Recorded
from projections.listing import Filter, as_is
from projections.sums import ONCE, Entry, Fact, Sums

ENTRIES: dict[type[Event], Entry] = {
    order.OrderPlaced: Entry(1),
    order.OrderImported: Entry(1),
    order.OrderCancelled: Entry(-1, "sale"),
    order.OrderRefunded: Entry(-1, "sale", optional=True),
}

Booking = tuple[order.Sale, Literal[1, -1]]


def booking_of(recorded: Recorded) -> Booking | None:
    """Return the sale that an event enters (1) or takes out (-1), None if it does neither."""
    match recorded.event:
        case order.OrderPlaced() | order.OrderImported() as placed:
            return order.Sale(placed.user_id, placed.placed_at, placed.total, placed.lines), 1
        case order.OrderCancelled(_, sale):
            return sale, -1
        case order.OrderRefunded(_, _, sale) if sale is not None:
            return sale, -1
    return None


def counters() -> list[Column[Any]]:
    """Return the columns that every sales table adds up, by a key that ends in day and currency."""
    return [Column("orders", Integer), Column("units", BigInteger), Column("revenue", Numeric)]


def sums_of_sales(table: Table, key: Mapping[str, Fact], *, units: Fact, revenue: Fact) -> Sums:
    """Return what adds up to a sales table, whose key is a column with that of day and currency."""
    day_and_currency = {
        "day": Fact("placed_at", date),
        "currency": Fact("total.currency", str),
    }
    adds: dict[str, Fact | Literal[1]] = {"orders": ONCE, "units": units, "revenue": revenue}
    return Sums(table, ENTRIES, "lines", {**key, **day_and_currency}, adds)


def period(table: Table) -> dict[str, Filter]:
    """Return the filters of a report: days from and to, both included."""
    return {
        "from": (table.c.day >= bindparam("from"), as_is),
        "to": (table.c.day <= bindparam("to"), as_is),
    }


def summed(table: Table, by: str, conditions: Sequence[ColumnElement[bool]]) -> Subquery:
    """Return the sums over the days by a column and currency, where anything is left."""
    return (
        select(
            table.c[by],
            table.c.currency,
            func.sum(table.c.orders).label("orders"),
            cast(func.sum(table.c.units), BigInteger).label("units"),
            func.sum(table.c.revenue).label("revenue"),
        )
        .where(*conditions)
        .group_by(table.c[by], table.c.currency)
        .having(func.sum(table.c.orders) > 0)
        .subquery("sums")
    )
