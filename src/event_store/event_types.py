"""Which event is stored under which name and version: the one list, and the codec that obeys it.

A name and version, once released, is for ever: classes may be renamed, stored names may not, and
what `event_schemas.json` says of a version is never changed. CONTRIBUTING.md has the recipe.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from domain import administrators, order, product, session, user
from event_store.upcasters import UPCASTERS, Upcaster

Event = administrators.Event | order.Event | product.Event | session.Event | user.Event

Key = tuple[str, int]

# The newest version of each name. A new version takes the line of the one before, which is read
# through its upcaster from then on.
STORED_AS: dict[Key, type[Event]] = {
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
    ("user.password_rehashed", 1): user.UserPasswordRehashed,
    ("user.role_changed", 1): user.UserRoleChanged,
    ("user.closed", 1): user.UserClosed,
}


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


class EventTypes:
    """Stored names and versions with their classes and upcasters, and the codec that obeys them.

    `stored_as` has the newest version of each name; older ones are read through `upcasters`.
    """

    def __init__(
        self, stored_as: Mapping[Key, type[Event]], upcasters: Mapping[Key, Upcaster]
    ) -> None:
        self.stored_as, self.upcasters = stored_as, upcasters
        self._keys = {kind: key for key, kind in stored_as.items()}
        self._readers: dict[Key, Callable[[str], Event]] = {}
        self._encoder = msgspec.json.Encoder()
        for (name, newest), kind in stored_as.items():
            self._readers[name, newest] = msgspec.json.Decoder(kind).decode
            chain: list[Upcaster] = []
            for version in range(newest - 1, 0, -1):
                if (name, version) not in upcasters:
                    break
                chain = [upcasters[name, version], *chain]
                self._readers[name, version] = upcasting(chain, kind)

    @property
    def readable(self) -> frozenset[Key]:
        """Every name and version that can be read, the newest and the older ones."""
        return frozenset(self._readers)

    def encode(self, event: Event) -> tuple[str, int, str]:
        """Return the stored name, schema version and JSON text of an event."""
        name, schema_version = self._keys[type(event)]
        return name, schema_version, self._encoder.encode(event).decode()

    def decode(
        self, name: str, schema_version: int, data: str, position: int | None = None
    ) -> Event:
        """Make the event of its stored form; `UnknownEvent` or `UnreadableEvent` if there is none.

        An event of an older version comes back as the class of the newest.
        """
        try:
            return self._readers[name, schema_version](data)
        except KeyError:
            raise UnknownEvent(name, schema_version, position) from None
        except (msgspec.DecodeError, UnicodeEncodeError) as error:
            message = f"Event {name} version {schema_version} at position {position}: {error}"
            raise UnreadableEvent(message) from error

    def names_of(self, kinds: Iterable[type[Event]]) -> list[str]:
        """Return the stored names of some events, each once."""
        wanted = set(kinds)
        return sorted({name for (name, _), kind in self.stored_as.items() if kind in wanted})


def upcasting(chain: Sequence[Upcaster], kind: type[Event]) -> Callable[[str], Event]:
    """Return what reads an older version of an event; it fails as a decoder does."""
    decoder = msgspec.json.Decoder(dict[str, Any])

    def read(text: str) -> Event:
        data = decoder.decode(text)
        try:
            for upcast in chain:
                data = upcast(data)
        except Exception as error:
            message = f"its upcaster failed with {type(error).__name__}: {error}"
            raise msgspec.ValidationError(message) from error
        return msgspec.convert(data, kind)

    return read


EVENT_TYPES = EventTypes(STORED_AS, UPCASTERS)
encode, decode, names_of = EVENT_TYPES.encode, EVENT_TYPES.decode, EVENT_TYPES.names_of
