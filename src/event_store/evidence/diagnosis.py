"""What has become of events whose hashes are not those in the tree."""

from collections.abc import Sequence

from psycopg import Connection
from psycopg.rows import TupleRow

from event_store.evidence.findings import Finding, altered, inserted, missing, swapped
from event_store.evidence.leaves import leaves
from event_store.evidence.tiles import HASH, WIDTH

POSITIONS = "select position from events where position > %s and position <= %s order by position"
FIND = """
select index, position(%b::bytea in hashes) from log_tiles
 where level = 0 and position(%b::bytea in hashes) > 0
"""


def diagnose(
    connection: Connection[TupleRow], after: int, stored: Sequence[bytes], found: Sequence[bytes]
) -> Finding:
    """Name the first wrong event after a position: what the tree holds there, and what is found."""
    asked = [after, after + len(stored)]
    positions = [row[0] for row in connection.execute(POSITIONS, asked).fetchall()]
    differs = next(
        (at for at, pair in enumerate(zip(stored, found, strict=False)) if pair[0] != pair[1]),
        len(found),
    )
    for expected, position in enumerate(positions[: differs + 1], after + 1):
        if position > expected:
            return missing(expected)
        if position < expected:
            return inserted(position)  # a position twice: its index is broken
    if differs >= len(found):
        return missing(after + len(found) + 1)
    return moved(connection, after + differs + 1, stored[differs], found[differs])


def moved(connection: Connection[TupleRow], position: int, stored: bytes, found: bytes) -> Finding:
    """Tell an event that comes from elsewhere from one that never was."""
    other = recorded_at(connection, found)
    if other == position + 1:
        now_there = leaf_at(connection, other)
        return swapped(position, other) if now_there == stored else missing(position)
    if other is not None and leaf_at(connection, other) == stored:
        return swapped(position, other)
    if leaf_at(connection, position + 1) == stored:
        return inserted(position)
    return altered(position)


def leaf_at(connection: Connection[TupleRow], position: int) -> bytes | None:
    """Return the hash of the event that is at a position now."""
    found = leaves(connection, position - 1, position)
    return found[0] if found else None


def recorded_at(connection: Connection[TupleRow], leaf: bytes) -> int | None:
    """Return where the tree has a leaf, None if it never had it."""
    for index, place in connection.execute(FIND, [leaf, leaf]).fetchall():
        number, within = divmod(place - 1, HASH)
        if within == 0:
            return int(index * WIDTH + number + 1)
    return None
