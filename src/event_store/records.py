"""What goes into the log and what comes out of it: plain data, and how an append may fail."""

from datetime import datetime
from uuid import UUID

import msgspec

from event_store.event_types import Event


class Audit(msgspec.Struct, frozen=True, kw_only=True):
    """Who asked for what, in which request. `occurred_at` None: when it is recorded."""

    actor_id: str
    actor_role: str
    request_id: str
    correlation_id: str
    command: str
    causation_id: int | None = None
    occurred_at: datetime | None = None


class StreamChange(msgspec.Struct, frozen=True):
    """A stream that a command has read at `expected_version` (0: it is new), and what it adds.

    `tip` is the command that wrote that version, where the reader knows it. `subject` is the person
    whom the events' personal fields are about, if they have any.
    """

    stream_id: UUID
    stream_type: str
    expected_version: int
    events: tuple[Event, ...]
    tip: UUID | None = None
    subject: UUID | None = None


class Claim(msgspec.Struct, frozen=True):
    """A value that one stream alone may hold in a scope; `kept` False gives it back.

    A `personal` value is hashed under a key before it is stored.
    """

    scope: str
    value: str
    stream_id: UUID
    kept: bool = True
    personal: bool = False


class IdempotencyKey(msgspec.Struct, frozen=True):
    """What makes a repeated request known: a caller's key, and what was asked under it.

    `former` are the fingerprints of the same under secrets of the past.
    """

    caller: str
    key: str
    fingerprint: str
    expires_at: datetime
    former: tuple[str, ...] = ()


class Append(msgspec.Struct, frozen=True):
    """One command's effect: all of it is appended or none.

    At least one change has events, unless there is a key: a refusal leaves its answer there too.
    """

    command_id: UUID
    audit: Audit
    changes: tuple[StreamChange, ...]
    claims: tuple[Claim, ...] = ()
    key: IdempotencyKey | None = None
    answer: str | None = None


class Appended(msgspec.Struct, frozen=True):
    """The command is in the log, on disk; its last event has this position."""

    position: int
    recorded_at: datetime


class Repeated(msgspec.Struct, frozen=True):
    """A command came under this key before: what was asked then, and what was answered."""

    fingerprint: str
    answer: str
    position: int


class Recorded(msgspec.Struct, frozen=True):
    """An event as the log holds it. Times are UTC."""

    position: int
    stream_id: UUID
    version: int
    event: Event
    occurred_at: datetime
    recorded_at: datetime


class Snapshot(msgspec.Struct, frozen=True):
    """The state of a stream at a version. `fingerprint` says of which schema the state is."""

    stream_id: UUID
    fingerprint: str
    version: int
    tip: UUID
    state: str


class VersionConflict(Exception):  # noqa: N818 - an answer of the log
    """A stream has moved on since the command read it."""

    def __init__(self, stream_id: UUID, expected: int, found: int) -> None:
        self.stream_id, self.expected, self.found = stream_id, expected, found
        super().__init__(f"Stream {stream_id} is at version {found}, not {expected}.")


class ClaimTaken(Exception):  # noqa: N818 - an answer of the log
    """Another stream holds the value."""

    def __init__(self, scope: str, value: str) -> None:
        self.scope, self.value = scope, value
        super().__init__(f"A {scope} is taken.")


class StoreUnavailable(Exception):  # noqa: N818 - an answer of the log
    """Postgres gave no answer in time. Ask again later, with the same idempotency key."""


class StoreOverloaded(StoreUnavailable):
    """More commands are waiting than can be appended soon; this one was not taken."""
