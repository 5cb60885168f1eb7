"""Which event is stored under which name and version: the one list, and the codec that obeys it.

A name and version, once released, is for ever: classes may be renamed, these lines may not.
"""

from collections.abc import Iterable

import msgspec

from domain import administrators, order, product, session, user

Event = administrators.Event | order.Event | product.Event | session.Event | user.Event

STORED_AS: dict[tuple[str, int], type[Event]] = {
    ("administrator.appointed", 1): administrators.AdministratorAppointed,
    ("administrator.dismissed", 1): administrators.AdministratorDismissed,
    ("order.placed", 1): order.OrderPlaced,
    ("order.imported", 1): order.OrderImported,
    ("order.paid", 1): order.OrderPaid,
    ("order.shipped", 1): order.OrderShipped,
    ("order.delivered", 1): order.OrderDelivered,
    ("order.cancelled", 1): order.OrderCancelled,
    ("order.refunded", 1): order.OrderRefunded,
    ("order.note_added", 1): order.OrderNoteAdded,
    ("product.listed", 1): product.ProductListed,
    ("product.renamed", 1): product.ProductRenamed,
    ("product.repriced", 1): product.ProductRepriced,
    ("product.stock_adjusted", 1): product.StockAdjusted,
    ("product.stock_reserved", 1): product.StockReserved,
    ("product.stock_released", 1): product.StockReleased,
    ("product.withdrawn", 1): product.ProductWithdrawn,
    ("session.started", 1): session.SessionStarted,
    ("session.refreshed", 1): session.SessionRefreshed,
    ("session.ended", 1): session.SessionEnded,
    ("user.registered", 1): user.UserRegistered,
    ("user.imported", 1): user.UserImported,
    ("user.email_changed", 1): user.UserEmailChanged,
    ("user.renamed", 1): user.UserRenamed,
    ("user.password_changed", 1): user.UserPasswordChanged,
    ("user.role_changed", 1): user.UserRoleChanged,
    ("user.closed", 1): user.UserClosed,
}

NAMES: dict[type[Event], tuple[str, int]] = {kind: key for key, kind in STORED_AS.items()}
DECODERS = {key: msgspec.json.Decoder(kind) for key, kind in STORED_AS.items()}
ENCODER = msgspec.json.Encoder()


class UnknownEvent(Exception):  # noqa: N818 - reads as what was found
    """The log holds an event that this release does not know: it was written by a newer one."""

    def __init__(self, name: str, schema_version: int, position: int | None = None) -> None:
        self.name, self.schema_version, self.position = name, schema_version, position
        place = "" if position is None else f" at position {position}"
        super().__init__(
            f"Unknown event {name} version {schema_version}{place}: "
            "a newer release of Daybook wrote it, run that release here."
        )


class UnreadableEvent(Exception):  # noqa: N818 - reads as what was found
    """The stored bytes of an event do not fit its type."""


def encode(event: Event) -> tuple[str, int, str]:
    """Return the stored name, schema version and JSON text of an event."""
    name, schema_version = NAMES[type(event)]
    return name, schema_version, ENCODER.encode(event).decode()


def decode(name: str, schema_version: int, data: str, position: int | None = None) -> Event:
    """Make the event of its stored form; `UnknownEvent` or `UnreadableEvent` if there is none."""
    decoder = DECODERS.get((name, schema_version))
    if decoder is None:
        raise UnknownEvent(name, schema_version, position)
    try:
        return decoder.decode(data)
    except (msgspec.DecodeError, UnicodeEncodeError) as error:
        message = f"Event {name} version {schema_version} at position {position}: {error}"
        raise UnreadableEvent(message) from error


def names_of(kinds: Iterable[type[Event]]) -> list[str]:
    """Return the stored names of some events, each once."""
    wanted = set(kinds)
    return sorted({name for (name, _), kind in STORED_AS.items() if kind in wanted})
