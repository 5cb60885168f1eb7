"""Whom a mail goes to, as the log says at this moment.

There is no table of addresses here: it would be one more copy of personal data to keep in step, to
erase, and to fill from history. Loading one stream for one mail costs less than sending it.
"""

from typing import Any
from uuid import UUID

from psycopg import Connection
from psycopg.rows import TupleRow

from commands.aggregates import ORDER, USER
from domain.order import Order
from domain.user import User
from event_store.event_types import decode
from event_store.reading import STREAM

NO_ADDRESS = "@imported.invalid"  # what the import gives customers who come without one


def open_account(connection: Connection[TupleRow], user_id: UUID) -> User | None:
    """Return the account if mail may go there: it is open and has an address."""
    user = USER.fold(events_of(connection, user_id))
    if user is None or user.status == "closed" or user.email.endswith(NO_ADDRESS):
        return None
    return user


def order_of(connection: Connection[TupleRow], order_id: UUID) -> Order:
    """Return an order."""
    order = ORDER.fold(events_of(connection, order_id))
    assert order is not None  # noqa: S101 - an event of its stream brought us here
    return order


def events_of(connection: Connection[TupleRow], stream_id: UUID) -> list[Any]:
    """Load a stream."""
    cursor = connection.execute(STREAM, [stream_id], prepare=True)
    return [decode(*row) for row in cursor.fetchall()]
