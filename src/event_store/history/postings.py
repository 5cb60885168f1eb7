"""The index of history: which events of a block have which terms, made off the request path.

A block is 16,384 events. Of each block and bucket there is one row at most, with the places of the
events that have a term in that bucket: two bytes each, or a bitmap if there are many. It is made
once, when the block is full; the events after the last full block are few enough to be looked at.
"""

from array import array

from psycopg import Connection
from psycopg.rows import TupleRow

from event_store import reading
from event_store.history.terms import FACTS, places_of

BLOCK = 1 << 14
BITMAP = BLOCK // 8

TAKE = "select blocks from history_index for update skip locked"
MOVE = "update history_index set blocks = %s where blocks = %s"
EVENTS = f"""
select {", ".join(f"{name}::text" for name in FACTS)}, stream_id::text, data::text
  from events where position > %b and position <= %b order by position
"""  # noqa: S608 - our own names
TIMES = """
insert into history_blocks (block, occurred_from, occurred_to)
select %b, min(occurred_at), max(occurred_at) from events where position > %b and position <= %b
"""
COPY = "copy history_postings (bucket, block, places) from stdin (format binary)"


def index_blocks(connection: Connection[TupleRow], most: int = 4) -> int:
    """Index full blocks that are not indexed yet, one a transaction; return how many."""
    done = 0
    while done < most and index_block(connection):
        done += 1
    return done


def index_block(connection: Connection[TupleRow]) -> bool:
    """Index the next block if it is full, all or nothing, unless somebody else is at it."""
    with connection.transaction():
        row = connection.execute(TAKE).fetchone()
        if row is None or reading.head(connection) < (row[0] + 1) * BLOCK:
            return False
        block = int(row[0])
        ends = [block * BLOCK, (block + 1) * BLOCK]
        places = places_of(connection.execute(EVENTS, ends, binary=False).fetchall())
        with connection.cursor().copy(COPY.encode()) as copy:
            copy.set_types(["int4", "int4", "bytea"])
            for bucket in sorted(places):
                ordered = array("H", sorted(set(places[bucket])))
                copy.write_row((bucket, block, packed(ordered)))
        connection.execute(TIMES, [block, *ends])
        connection.execute(MOVE, [block + 1, block])
        return True


def packed(places: "array[int]") -> bytes:
    """Return places as they are stored: two bytes each, or a bitmap where that is shorter."""
    if len(places) * places.itemsize < BITMAP:
        return places.tobytes()
    return bitmap(places).to_bytes(BITMAP, "little")


def bitmap(places: "array[int]") -> int:
    """Return a number with the bits of some places set."""
    marks = bytearray(BITMAP)
    for place in places:
        marks[place >> 3] |= 1 << (place & 7)
    return int.from_bytes(marks, "little")


def unpacked(stored: bytes) -> int:
    """Return stored places as a bitmap."""
    if len(stored) == BITMAP:
        return int.from_bytes(stored, "little")
    return bitmap(array("H", stored))


def places_in(marks: int) -> list[int]:
    """Return the places of a bitmap, the first one first."""
    found = []
    while marks:
        lowest = marks & -marks
        found.append(lowest.bit_length() - 1)
        marks ^= lowest
    return found
