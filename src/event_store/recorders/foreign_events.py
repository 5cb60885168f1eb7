"""Events of other programs in the log: how they are stored, and how they are read back.

A foreign event has its topic for a name and schema version 1. Its stream's type tells the program
and whether the program counts versions from 0: the log counts from 1. Written so for ever.
"""

import json
import re
from base64 import b64decode, b64encode
from collections.abc import Sequence
from uuid import UUID, uuid4

import msgspec
from eventsourcing.persistence import IntegrityError, NotSupportedError, StoredEvent

from event_store.event_types import STORED_AS

FROM_ONE, FROM_ZERO = "eventsourcing:", "eventsourcing@0:"
OUR_NAMES = frozenset(name for name, _ in STORED_AS)

WRAPPED = re.compile(r'\{"base64": "([A-Za-z0-9+/=]*)"\}')


class ForeignStream(msgspec.Struct, frozen=True):
    """What is added to one stream: so many events after a version, both as the log counts."""

    stream_id: UUID
    stream_type: str
    expected_version: int
    added: int


class ForeignEvent(msgspec.Struct, frozen=True):
    """An event as it is stored; `data` is JSON text."""

    stream_id: UUID
    version: int
    topic: str
    data: str


class ForeignCommand(msgspec.Struct, frozen=True):
    """Events that are appended together or not at all, in the order given; at least one."""

    command_id: UUID
    command: str
    streams: tuple[ForeignStream, ...]
    events: tuple[ForeignEvent, ...]


def stream_types(application: str) -> list[str]:
    """Return the types of an application's streams."""
    return [FROM_ONE + application, FROM_ZERO + application]


def command_of(
    stored_events: Sequence[StoredEvent], types: dict[UUID, str], application: str, command: str
) -> ForeignCommand:
    """Make a command; `types` has the type of each stream that is there already.

    Raises `IntegrityError` for versions with holes and for a stream of another program.
    """
    versions: dict[UUID, list[int]] = {}
    for event in stored_events:
        versions.setdefault(checked(event), []).append(event.originator_version)
    streams = {
        stream_id: stream_of(stream_id, given, types.get(stream_id), application)
        for stream_id, given in versions.items()
    }
    events = (foreign_event(event, streams[checked(event)]) for event in stored_events)
    return ForeignCommand(uuid4(), command, tuple(streams.values()), tuple(events))


def checked(event: StoredEvent) -> UUID:
    """Return the stream's id of an event that the log may take from another program."""
    if event.topic in OUR_NAMES:
        raise NotSupportedError(f"{event.topic} is Daybook's own: only its commands write that.")
    return stream_id_of(event.originator_id)


def stream_id_of(originator_id: UUID | str) -> UUID:
    """Return the stream's id of an aggregate."""
    if not isinstance(originator_id, UUID):
        raise NotSupportedError(f"Daybook's streams have UUIDs, and no {originator_id!r}.")
    return originator_id


def stream_of(
    stream_id: UUID, versions: Sequence[int], found: str | None, application: str
) -> ForeignStream:
    """Say what is added to a stream by events with versions as their program counts."""
    from_one, from_zero = stream_types(application)
    if found not in {None, from_one, from_zero}:
        raise IntegrityError(f"Stream {stream_id} belongs to another program: its type is {found}.")
    first = versions[0]
    if list(versions) != list(range(first, first + len(versions))):
        raise IntegrityError(f"Versions of stream {stream_id} do not follow one another.")
    if first == 0 or found == from_zero:
        return ForeignStream(stream_id, from_zero, first, len(versions))
    return ForeignStream(stream_id, from_one, first - 1, len(versions))


def foreign_event(event: StoredEvent, stream: ForeignStream) -> ForeignEvent:
    """Give an event the form in which it is stored."""
    version = event.originator_version + stream.stream_type.startswith(FROM_ZERO)
    return ForeignEvent(stream.stream_id, version, event.topic, to_json(event.state))


def to_json(state: bytes) -> str:
    """Return the JSON text that the log keeps: the state itself, or it in base64."""
    try:
        text = state.decode()
        value = json.loads(text, parse_float=plain, parse_constant=plain)
    except (ValueError, RecursionError):
        return wrapped(state)
    escapes = r"\u0000" in text or r"\ud" in text.lower()
    if escapes or (isinstance(value, dict) and value.keys() == {"base64"}):
        return wrapped(state)
    return text


def plain(number: str) -> float:
    """Read a number that jsonb keeps as it is: it would make an integer of 1e16, 0.0 of -0.0."""
    value = float(number)
    if not set(number) <= set("-.0123456789") or (value == 0 and number.startswith("-")):
        raise ValueError(number)
    return value


def wrapped(state: bytes) -> str:
    """Return bytes that are not JSON, or not such as jsonb can keep, as JSON."""
    return json.dumps({"base64": b64encode(state).decode()})


def to_state(data: str) -> bytes:
    """Return the state of the JSON text of a jsonb value."""
    if found := WRAPPED.fullmatch(data):
        return b64decode(found[1])
    return data.encode()
