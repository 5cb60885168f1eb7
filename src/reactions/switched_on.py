"""Which reactions there are, by name, and the events that each listens to: the one list.

A new one also needs a migration for its checkpoint.
"""

from event_store.event_types import names_of
from reactions import (
    decisions,
    erasure,
    integration_events,
    order_confirmation,
    payment_deadline,
    shipment_mail,
    welcome_mail,
)

REACTIONS: dict[str, list[str]] = {
    welcome_mail.NAME: names_of(welcome_mail.EVENTS),
    order_confirmation.NAME: names_of(order_confirmation.EVENTS),
    shipment_mail.NAME: names_of(shipment_mail.EVENTS),
    payment_deadline.NAME: payment_deadline.BEGINNINGS,
    integration_events.NAME: integration_events.EVENT_NAMES,
    decisions.NAME: decisions.EVENT_NAMES,
    erasure.NAME: erasure.EVENT_NAMES,
}
