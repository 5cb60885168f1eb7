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
from event_store import reading
from event_store.privacy.keyring import Keyring

NO_ADDRESS = "@imported.invalid"  # what the import gives customers who come without one


def open_account(connection: Connection[TupleRow], keys: Keyring, user_id: UUID) -> User | None:
    """Return the account if mail may go there: it is open and has an address."""
    events: list[Any] = reading.stream(connection, user_id, keys)
    user = USER.fold(events)
    if user is None or user.status != "active" or user.email.endswith(NO_ADDRESS):
        return None
    return user


def order_of(connection: Connection[TupleRow], keys: Keyring, order_id: UUID) -> Order:
    """Return an order."""
    events: list[Any] = reading.stream(connection, order_id, keys)
    order = ORDER.fold(events)
    assert order is not None  # noqa: S101 - an event of its stream brought us here
    return order
