"""What counts as a sale: an order from its placing on the day it was placed, until it is undone.

Money is kept apart by currency. An order's revenue is its total, which was rounded once; that of
a product is the exact sum of its lines, which was not.
"""

from collections.abc import Sequence
from datetime import UTC, date
from decimal import Decimal
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
from projections.projection import Key, Row, Rows, key_columns

EVENTS: list[type[Event]] = [
    order.OrderPlaced,
    order.OrderImported,
    order.OrderCancelled,
    order.OrderRefunded,
]

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


def day_of(sale: order.Sale) -> date:
    """Return the day of a sale in UTC."""
    return sale.placed_at.astimezone(UTC).date()


def units_of(sale: order.Sale) -> int:
    """Return how many pieces were sold."""
    return sum(line.quantity for line in sale.lines)


def counters() -> list[Column[Any]]:
    """Return the columns that every sales table adds up, by a key that ends in day and currency."""
    return [Column("orders", Integer), Column("units", BigInteger), Column("revenue", Numeric)]


def enter(  # noqa: PLR0913 - a booking is these facts
    rows: Rows, table: Table, key: Key, *, sign: int, units: int, revenue: Decimal
) -> None:
    """Add an order to the row with a key, or take it out (-1); the row is made if there is none."""
    if rows.find(table, *key) is None:
        nothing: Row = {"orders": 0, "units": 0, "revenue": Decimal()}
        rows.put(table, dict(zip(key_columns(table), key, strict=True)) | nothing)
    row = rows.change(table, *key)
    row["orders"] += sign
    row["units"] += sign * units
    row["revenue"] += sign * revenue


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
