"""What counts as a sale: an order from its placing on the day it was placed, until it is undone.

Money is kept apart by currency. An order's revenue is its total, which was rounded once; that of
a product is the exact sum of its lines, which was not.
"""

from collections.abc import Callable
from datetime import UTC, date
from typing import Literal

from sqlalchemy import Table

from domain import order
from event_store.event_types import Event
from event_store.records import Recorded
from projections.projection import Key, Row, Rows

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


def row_to_add_to(rows: Rows, table: Table, key: Key, make: Callable[[], Row]) -> Row:
    """Return the row with a key to change, a new one if there is none."""
    if rows.find(table, *key) is None:
        rows.put(table, make())
    return rows.change(table, *key)
