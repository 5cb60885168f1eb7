"""Which event is stored under which name and version: the one list, and the codec that obeys it.

A name and version, once released, is for ever: classes may be renamed, stored names may not, and
what `event_schemas.json` says of a version is never changed. CONTRIBUTING.md has the recipe.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import msgspec

from domain import (
    administrators,
    order,
    product,
    projection_control,
    reaction_control,
    session,
    user,
)
from domain.personal import personal_fields
from event_store.privacy.tokens import Damaged
from event_store.upcasters import SEALED_BEFORE, UPCASTERS, Upcaster, encrypted_from_here_on

Event = (
    administrators.Event
    | order.Event
    | product.Event
    | projection_control.Event
    | reaction_control.Event
    | session.Event
    | user.Event
)

Key = tuple[str, int]
Reader = Callable[..., Event]
Opened = Callable[[str, str], str]
"""Tells what a field's encrypted text is; given the field's name and the text."""

# The newest version of each name. A new version takes the line of the one before, which is read
# through its upcaster from then on.
STORED_AS: dict[Key, type[Event]] = {
    ("administrator.appointed", 1): administrators.AdministratorAppointed,
    ("administrator.dismissed", 1): administrators.AdministratorDismissed,
    ("order.placed", 1): order.OrderPlaced,
    ("order.imported", 1): order.OrderImported,
    ("order.paid", 1): order.OrderPaid,
    ("order.shipped", 2): order.OrderShipped,
    ("order.delivered", 1): order.OrderDelivered,
    ("order.cancelled", 2): order.OrderCancelled,
    ("order.refunded", 2): order.OrderRefunded,
    ("order.note_added", 2): order.OrderNoteAdded,
    ("order.forgotten", 1): order.OrderForgotten,
    ("product.listed", 1): product.ProductListed,
    ("product.renamed", 1): product.ProductRenamed,
    ("product.repriced", 1): product.ProductRepriced,
    ("product.stock_adjusted", 1): product.StockAdjusted,
    ("product.stock_reserved", 1): product.StockReserved,
    ("product.stock_released", 1): product.StockReleased,
    ("product.withdrawn", 1): product.ProductWithdrawn,
    ("projection.paused", 1): projection_control.ProjectionPaused,
    ("projection.resumed", 1): projection_control.ProjectionResumed,
    ("projection.rebuild_requested", 1): projection_control.ProjectionRebuildRequested,
    ("projection.rebuild_cancelled", 1): projection_control.ProjectionRebuildCancelled,
    ("projection.rebuild_throttled", 1): projection_control.ProjectionRebuildThrottled,
    ("projection.swap_requested", 1): projection_control.ProjectionSwapRequested,
    ("projection.rollback_requested", 1): projection_control.ProjectionRollbackRequested,
    ("projection.prune_requested", 1): projection_control.ProjectionPruneRequested,
    ("projection.failure_retry_requested", 1): projection_control.ParkedFailureRetryRequested,
    ("projection.failure_skip_requested", 1): projection_control.ParkedFailureSkipRequested,
    ("projection.operation_ended", 1): projection_control.ProjectionOperationEnded,
    ("reaction.retry_requested", 1): reaction_control.ReactionRetryRequested,
    ("reaction.skip_requested", 1): reaction_control.ReactionSkipRequested,
    ("reaction.operation_ended", 1): reaction_control.ReactionOperationEnded,
    ("session.started", 1): session.SessionStarted,
    ("session.refreshed", 1): session.SessionRefreshed,
    ("session.ended", 1): session.SessionEnded,
    ("user.registered", 2): user.UserRegistered,
    ("user.imported", 2): user.UserImported,
    ("user.email_changed", 2): user.UserEmailChanged,
    ("user.renamed", 2): user.UserRenamed,
    ("user.password_changed", 2): user.UserPasswordChanged,
    ("user.password_rehashed", 2): user.UserPasswordRehashed,
    ("user.role_changed", 1): user.UserRoleChanged,
    ("user.closed", 1): user.UserClosed,
    ("user.forgotten", 1): user.UserForgotten,
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
    `sealed` has the fields of each version that are stored encrypted.
    """

    def __init__(
        self,
        stored_as: Mapping[Key, type[Event]],
        upcasters: Mapping[Key, Upcaster],
        sealed_before: Mapping[Key, Sequence[str]] = MappingProxyType({}),
    ) -> None:
        """`sealed_before` has those fields of older versions."""
        self.stored_as, self.upcasters = stored_as, upcasters
        marked = {key: personal_fields(kind) for key, kind in stored_as.items()}
        self.sealed: dict[Key, Sequence[str]] = {
            **sealed_before,
            **{key: fields for key, fields in marked.items() if fields},
        }
        self._keys = {kind: key for key, kind in stored_as.items()}
        self._readers: dict[Key, Reader] = {}
        self._encoder = msgspec.json.Encoder()
        for (name, newest), kind in stored_as.items():
            decoder = msgspec.json.Decoder(kind)
            fields = self.sealed.get((name, newest), ())
            self._readers[name, newest] = opening(decoder, fields) if fields else decoder.decode
            chain: list[Upcaster] = []
            for version in range(newest - 1, 0, -1):
                if (name, version) not in upcasters:
                    break
                chain = [upcasters[name, version], *chain]
                fields = self.sealed.get((name, version), ())
                self._readers[name, version] = upcasting(chain, kind, fields)

    @property
    def readable(self) -> frozenset[Key]:
        """Every name and version that can be read, the newest and the older ones."""
        return frozenset(self._readers)

    @property
    def plain(self) -> list[Key]:
        """The older versions of events with personal fields that were stored before these were."""
        return [
            (name, version)
            for name, newest in self.stored_as
            if (name, newest) in self.sealed
            for version in range(1, newest)
            if (name, version) not in self.sealed
        ]

    def encode(self, event: Event) -> tuple[str, int, str]:
        """Return the stored name, schema version and JSON text of an event."""
        name, schema_version = self._keys[type(event)]
        return name, schema_version, self._encoder.encode(event).decode()

    def decode(
        self,
        name: str,
        schema_version: int,
        data: str,
        position: int | None = None,
        opened: Opened | None = None,
    ) -> Event:
        """Make the event of its stored form; `UnknownEvent` or `UnreadableEvent` if there is none.

        An event of an older version comes back as the class of the newest. Encrypted fields stay so
        unless it is said how they are `opened`.
        """
        reader = self._readers.get((name, schema_version))
        if reader is None:
            raise UnknownEvent(name, schema_version, position)
        try:
            if opened is not None and (name, schema_version) in self.sealed:
                return reader(data, opened)
            return reader(data)
        except (msgspec.DecodeError, UnicodeEncodeError, Damaged) as error:
            message = f"Event {name} version {schema_version} at position {position}: {error}"
            raise UnreadableEvent(message) from error

    def names_of(self, kinds: Iterable[type[Event]]) -> list[str]:
        """Return the stored names of some events, each once."""
        wanted = set(kinds)
        return sorted({name for (name, _), kind in self.stored_as.items() if kind in wanted})

    def read_alike(self, kind: type[Event]) -> tuple[str, list[int]]:
        """Return an event's name, and the versions that differ in what is encrypted alone."""
        name, newest = self._keys[kind]
        versions = [newest]
        while self.upcasters.get((name, versions[-1] - 1)) is encrypted_from_here_on:
            versions.append(versions[-1] - 1)
        return name, versions


def opening(decoder: "msgspec.json.Decoder[Event]", fields: Sequence[str]) -> Reader:
    """Return what reads an event that has encrypted fields."""

    def read(text: str, opened: Opened | None = None) -> Event:
        event = decoder.decode(text)
        if opened is None:
            return event
        found = {field: opened(field, getattr(event, field)) for field in fields}
        return msgspec.structs.replace(event, **found)

    return read


def upcasting(chain: Sequence[Upcaster], kind: type[Event], fields: Sequence[str] = ()) -> Reader:
    """Return what reads an older version of an event; it fails as a decoder does.

    Encrypted fields are opened first, so that upcasters see what was meant.
    """
    decoder = msgspec.json.Decoder(dict[str, Any])

    def read(text: str, opened: Opened | None = None) -> Event:
        data = decoder.decode(text)
        if opened is not None:
            data |= {field: opened(field, data[field]) for field in fields}
        try:
            for upcast in chain:
                data = upcast(data)
        except Exception as error:
            message = f"its upcaster failed with {type(error).__name__}: {error}"
            raise msgspec.ValidationError(message) from error
        return msgspec.convert(data, kind)

    return read


EVENT_TYPES = EventTypes(STORED_AS, UPCASTERS, SEALED_BEFORE)
encode, decode, names_of = EVENT_TYPES.encode, EVENT_TYPES.decode, EVENT_TYPES.names_of
