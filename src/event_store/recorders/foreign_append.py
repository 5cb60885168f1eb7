"""The call of `append_events` for the events of another program: one command, and its verdict."""

from typing import Any

from eventsourcing.persistence import IntegrityError
from psycopg import Connection
from psycopg.rows import TupleRow

from event_store.append_sql import CALL, columns
from event_store.recorders.foreign_events import ForeignCommand

ACTOR_ID, ACTOR_ROLE = "eventsourcing", "system"

POSITION = "select position from events where stream_id = %b and version = %b and command_id = %b"


def append(connection: Connection[TupleRow], command: ForeignCommand) -> int:
    """Append a command and return its last position; repeated, it is found to be there already."""
    answer = connection.execute(CALL, arguments(command), prepare=True).fetchone()
    assert answer is not None  # noqa: S101 - a command has a verdict
    verdict, culprit, actual, position, *_ = answer
    if verdict == "appended":
        return int(position)
    last = command.events[-1]
    written = connection.execute(POSITION, [last.stream_id, last.version, command.command_id])
    if (row := written.fetchone()) is not None:
        return int(row[0])
    stream = command.streams[culprit - 1]
    raise IntegrityError(
        f"Stream {stream.stream_id} has {actual} events, not {stream.expected_version}."
    )


def positions(command: ForeignCommand, last: int) -> list[int]:
    """Return the positions of a command's events, in order; the log has no gaps."""
    return list(range(last + 1 - len(command.events), last + 1))


def arguments(command: ForeignCommand) -> list[list[Any]]:
    """Lay a command out as `append_sql.arguments` does one of our own."""
    streams, request = command.streams, str(command.command_id)
    numbers = {stream.stream_id: number for number, stream in enumerate(streams, 1)}
    return [
        [command.command_id],
        *([ACTOR_ID], [ACTOR_ROLE], [request], [request], [None], [command.command], [None]),
        *columns([(None,) * 5], 5),
        [stream.stream_id for stream in streams],
        [stream.stream_type for stream in streams],
        *columns(
            [(1, numbers[s.stream_id], s.expected_version, None, s.added) for s in streams], 5
        ),
        *columns([], 5),
        *columns(
            [(1, numbers[e.stream_id], e.version, e.topic, 1, e.data) for e in command.events], 6
        ),
    ]
