"""What other services learn of what happens here: which events, and which of their fields.

A field that is not named here is not published. None of them is personal: no names, addresses,
texts that people wrote, or numbers under which others know a person.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

import msgspec

from domain import order, product, user
from event_store.event_types import Event, names_of
from event_store.records import Recorded

NAME = "integration_events"


class Published(NamedTuple):
    """The version of what is published of an event, and the fields of the event that are."""

    version: int
    fields: Sequence[str] = ()


# A contract with others: another field, or another meaning, is another version.
PUBLISHED: dict[type[Event], Published] = {
    user.UserRegistered: Published(1, ["role"]),
    user.UserImported: Published(1),
    user.UserRoleChanged: Published(1, ["role", "previous"]),
    user.UserClosed: Published(1),
    user.UserForgotten: Published(1),
    product.ProductListed: Published(1, ["sku", "name", "price", "stock"]),
    product.ProductRenamed: Published(1, ["name"]),
    product.ProductRepriced: Published(1, ["price"]),
    product.StockAdjusted: Published(1, ["quantity"]),
    product.StockReserved: Published(1, ["order_id", "quantity"]),
    product.StockReleased: Published(1, ["order_id", "quantity"]),
    product.ProductWithdrawn: Published(1),
    order.OrderPlaced: Published(1, ["user_id", "placed_at", "lines", "total"]),
    order.OrderImported: Published(1, ["user_id", "placed_at", "lines", "total"]),
    order.OrderPaid: Published(1, ["amount"]),
    order.OrderShipped: Published(1, ["carrier"]),
    order.OrderDelivered: Published(1),
    order.OrderCancelled: Published(1),
    order.OrderRefunded: Published(1, ["amount"]),
}
EVENT_NAMES = names_of(PUBLISHED)


def entry_of(recorded: Recorded) -> dict[str, str]:
    """Return what is published of an event, as the fields of a stream's entry."""
    event = recorded.event
    published = PUBLISHED[type(event)]
    data = {name: getattr(event, name) for name in published.fields}
    [name] = names_of([type(event)])
    return {
        "name": name,
        "version": str(published.version),
        "position": str(recorded.position),
        "stream": str(recorded.stream_id),
        "streamVersion": str(recorded.version),
        "occurredAt": moment(recorded.occurred_at),
        "data": msgspec.json.encode(camelled(msgspec.to_builtins(data))).decode(),
    }


def moment(when: datetime) -> str:
    """Return a time as RFC 3339 has it, in UTC."""
    return when.isoformat().replace("+00:00", "Z")


def camelled(value: Any) -> Any:
    """Return JSON with its names as HTTP has them."""
    if isinstance(value, dict):
        return {camel(name): camelled(inner) for name, inner in value.items()}
    return [camelled(one) for one in value] if isinstance(value, list | tuple) else value


def camel(name: str) -> str:
    """Return a Python name as others write it: order_id, orderId."""
    first, *others = name.split("_")
    return first + "".join(word.capitalize() for word in others)
