"""The index of history: which events of a block have which terms, made off the request path.

A block is 16,384 events. Of each block and bucket there is one row at most, with the places of the
events that have a term in that bucket: two bytes each, or a bitmap if there are many. It is made
once, when the block is full; the events after the last full block are few enough to be looked at.
"""

from array import array
from collections.abc import Sequence
from functools import reduce
from operator import and_

from psycopg import Connection
from psycopg.rows import TupleRow

from event_store import reading
from event_store.history.terms import FACTS, places_of
from event_store.history.volumes import bind_volume

BLOCK = 1 << 14
STRETCH = 256
"""Of so many events it is known between which times they happened."""
BITMAP = BLOCK // 8
EVERYWHERE = (1 << BLOCK) - 1
BITS = [[bit for bit in range(8) if byte >> bit & 1] for byte in range(256)]
"""The places in each byte of a bitmap."""

TAKE = "select blocks from history_index for update skip locked"
MOVE = "update history_index set blocks = %s where blocks = %s"
EVENTS = f"""
select {", ".join(f"{name}::text" for name in FACTS)}, stream_id::text, data::text
  from events where position > %b and position <= %b order by position
"""  # noqa: S608 - our own names
TIMES = """
insert into history_stretches (stretch, occurred_from, occurred_to)
select (position - 1) / %b, min(occurred_at), max(occurred_at)
  from events where position > %b and position <= %b group by 1
"""
COPY = "copy history_postings (bucket, block, places) from stdin (format binary)"


def index_blocks(connection: Connection[TupleRow], most: int = 4) -> int:
    """Index full blocks that are not indexed yet, bind old ones; return how much was done."""
    done = 0
    while done < most and index_block(connection):
        done += 1
    return done + bind_volume(connection)


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
        connection.execute(TIMES, [STRETCH, *ends])
        connection.execute(MOVE, [block + 1, block])
        return True


def packed(places: "array[int]") -> bytes:
    """Return places as they are stored: two bytes each, or a bitmap where that is shorter."""
    if len(places) * places.itemsize < BITMAP:
        return places.tobytes()
    return bitmap(places)


def bitmap(places: "array[int]") -> bytes:
    """Return bytes with the bits of some places set."""
    marks = bytearray(BITMAP)
    for place in places:
        marks[place >> 3] |= 1 << (place & 7)
    return bytes(marks)


def in_all(stored: Sequence[bytes]) -> list[int]:
    """Return the places that are in all of what is stored of some buckets, the first one first."""
    few = sorted((one for one in stored if len(one) < BITMAP), key=len)
    many = (int.from_bytes(one, "little") for one in stored if len(one) == BITMAP)
    common = reduce(and_, many, EVERYWHERE)
    if not few or not common:  # what is common and never meets is told by that alone
        return places_in(common)
    marks = common.to_bytes(BITMAP, "little")
    found = set(array("H", few[0])).intersection(*(array("H", one) for one in few[1:]))
    return sorted(place for place in found if marks[place >> 3] >> (place & 7) & 1)


def places_in(marks: int) -> list[int]:
    """Return the places of a bitmap, the first one first."""
    found: list[int] = []
    if marks:
        for eight, byte in enumerate(marks.to_bytes(BITMAP, "little")):
            if byte:
                found += [8 * eight + bit for bit in BITS[byte]]
    return found
