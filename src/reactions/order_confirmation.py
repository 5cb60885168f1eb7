"""The order confirmation: what was ordered, what it costs, and until when it waits for payment."""

from datetime import timedelta

from psycopg import Connection
from psycopg.rows import TupleRow

from domain.order import Line, OrderPlaced
from event_store.privacy.keyring import Keyring
from event_store.records import Recorded
from reactions.letter import Letter
from reactions.recipient import open_account

NAME = "order_confirmation"
EVENTS = (OrderPlaced,)

TEXT = """\
Hello {name},

thank you for your order {order_id}:

{lines}

Total: {total.amount} {total.currency}

It waits for your payment until {due:%Y-%m-%d %H:%M} UTC and is cancelled then.
"""


def compose(
    connection: Connection[TupleRow], keys: Keyring, event: Recorded, payment_window: timedelta
) -> Letter | None:
    """Confirm an order to its buyer."""
    placed = event.event
    assert isinstance(placed, OrderPlaced)  # noqa: S101 - the only one followed
    user = open_account(connection, keys, placed.user_id)
    if user is None:
        return None
    currency = placed.total.currency
    text = TEXT.format(
        name=user.name,
        order_id=event.stream_id,
        lines="\n".join(line_text(line, currency) for line in placed.lines),
        total=placed.total,
        due=event.recorded_at + payment_window,
    )
    return Letter(user, f"Your order {event.stream_id}", text)


def line_text(line: Line, currency: str) -> str:
    """Say what one line is."""
    price = f"{line.unit_price} = {line.amount} {currency}"
    return f"  {line.quantity} x {line.name} ({line.sku}) at {price}"
