"""The shipment mail: who carries the goods, under which number."""

from psycopg import Connection
from psycopg.rows import TupleRow

from domain.order import OrderShipped
from event_store.privacy.keyring import Keyring
from event_store.records import Recorded
from reactions.letter import Letter
from reactions.recipient import open_account, order_of

NAME = "shipment_mail"
EVENTS = (OrderShipped,)

TEXT = """\
Hello {name},

your order {order_id} is on its way:

    carrier: {carrier}
    tracking number: {number}
"""


def compose(connection: Connection[TupleRow], keys: Keyring, event: Recorded) -> Letter | None:
    """Tell the buyer that the goods have left."""
    shipped = event.event
    assert isinstance(shipped, OrderShipped)  # noqa: S101 - the only one followed
    order = order_of(connection, keys, event.stream_id)
    user = open_account(connection, keys, order.user_id)
    if user is None:
        return None
    text = TEXT.format(
        name=user.name,
        order_id=event.stream_id,
        carrier=shipped.carrier,
        number=shipped.tracking_number,
    )
    return Letter(user, f"Your order {event.stream_id} is on its way", text)
