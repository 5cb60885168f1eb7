"""What the tree's leaves are: the events as they are stored, byte for byte.

A leaf is the line, with its line feed, that Postgres's COPY writes in its text format for these
columns, times in UTC (DateStyle ISO), after the number of this form. The position is not in it: it
is the leaf's place. So forms are for ever; other columns would make form 2, from some position on.
"""

from collections.abc import Iterator
from hashlib import sha256

from psycopg import AsyncConnection, Connection
from psycopg.rows import TupleRow

from event_store.evidence.merkle import LEAF

FORM = 1
COLUMNS = (
    "stream_id, stream_type, version, name, schema_version, data, actor_id, actor_role, request_id,"
    " correlation_id, causation_id, command_id, command, occurred_at, recorded_at"
)

# COPY takes no parameters; both are numbers.
COPY = (
    f"copy (select {FORM}, {COLUMNS} from events"  # noqa: S608 - our own names
    " where position > {:d} and position <= {:d} order by position)"
    " to stdout (format text, encoding 'UTF8')"
)


def leaves(connection: Connection[TupleRow], after: int, upto: int) -> list[bytes]:
    """Return the hashes of the events at positions in (after, upto], in order."""
    with connection.cursor().copy(COPY.format(after, upto).encode()) as lines:
        return [sha256(LEAF + bytes(line)).digest() for line in lines]


def lines_of(connection: Connection[TupleRow], after: int, upto: int) -> Iterator[bytes]:
    """Yield the bytes of the leaves at positions in (after, upto], in order."""
    with connection.cursor().copy(COPY.format(after, upto).encode()) as lines:
        for line in lines:
            yield bytes(line)


async def line_of(connection: AsyncConnection[TupleRow], position: int) -> bytes | None:
    """Return the bytes of one leaf, None if there is no such event."""
    found: bytes | None = None
    async with connection.cursor().copy(COPY.format(position - 1, position).encode()) as lines:
        async for line in lines:
            found = bytes(line)
    return found
