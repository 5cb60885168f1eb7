"""Finding the events that are asked for: the index names candidates, SQL decides, page by page.

A page costs at most the candidates of the blocks that it has to look into, newest or oldest first.
"""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Any

from psycopg import AsyncConnection
from psycopg.rows import TupleRow

from event_store import reading
from event_store.history.entries import COLUMNS, Entry, entry
from event_store.history.postings import BLOCK, places_in, unpacked
from event_store.history.questions import Question

FIRST_BLOCKS, MOST_BLOCKS = 4, 128
CANDIDATES_AT_ONCE = 500

Span = tuple[int, int]
"""Positions, the first and the one after the last."""

INDEXED = "select blocks from history_index"
POSTINGS = """
select block, places from history_postings
 where bucket = any(%b::int[]) and block >= %b and block < %b
"""
BLOCKS = """
select block from history_blocks
 where block >= %s and block < %s
   and (%s::timestamptz is null or occurred_to >= %s)
   and (%s::timestamptz is null or occurred_from < %s)
"""
RECORDED = "select recorded_at from events where position = %b"


async def find(
    connection: AsyncConnection[TupleRow], question: Question, limit: int
) -> list[Entry]:
    """Return the first events that a question asks for, in its order."""
    found: list[Entry] = []
    low, high = await bounds(connection, question)
    if low >= high:
        return found
    if question.stream_id or not (question.terms or any(question.occurred)):
        return await scan(connection, question, (low, high), limit)
    blocks = await one(connection, INDEXED)
    async for span in spans(connection, question, (low, high), int(blocks)):
        found += await candidates(connection, question, span, limit - len(found))
        if len(found) >= limit:
            break
    return found


async def bounds(connection: AsyncConnection[TupleRow], question: Question) -> Span:
    """Return between which positions the events lie; recorded times rise with positions."""
    head = await reading.head_async(connection)
    low, high = question.positions
    low, high = max(low or 1, 1), min(high or head + 1, head + 1)
    since, until = question.recorded
    if since is not None:
        low = max(low, await first_since(connection, since, head))
    if until is not None:
        high = min(high, await first_since(connection, until, head))
    return low, high


async def first_since(connection: AsyncConnection[TupleRow], moment: datetime, head: int) -> int:
    """Return the position of the first event recorded at a moment or later."""
    low, high = 1, head + 1
    while low < high:
        middle = (low + high) // 2
        if await one(connection, RECORDED, middle) < moment:
            low = middle + 1
        else:
            high = middle
    return low


async def one(connection: AsyncConnection[TupleRow], query: str, *values: object) -> Any:
    """Return the only value of the only row."""
    row = await (await connection.execute(query.encode(), values, prepare=True)).fetchone()
    assert row is not None  # noqa: S101 - it is there: the log has no gaps
    return row[0]


async def spans(
    connection: AsyncConnection[TupleRow], question: Question, whole: Span, blocks: int
) -> AsyncIterator[Span | list[int]]:
    """Yield, in the question's order, stretches to scan and lists of candidates."""
    low, high = whole
    end = blocks * BLOCK + 1  # the first position that is not indexed
    rest = (max(low, end), high)
    if question.descending and rest[0] < rest[1]:
        yield rest
    first, last = (low - 1) // BLOCK, min(blocks, -(-(high - 1) // BLOCK))
    size = FIRST_BLOCKS
    while first < last:
        lot = (
            (max(first, last - size), last)
            if question.descending
            else (first, min(last, first + size))
        )
        for found in await in_blocks(connection, question, lot, whole):
            yield found
        first, last = (first, lot[0]) if question.descending else (lot[1], last)
        size = min(2 * size, MOST_BLOCKS)
    if not question.descending and rest[0] < rest[1]:
        yield rest


async def in_blocks(
    connection: AsyncConnection[TupleRow], question: Question, lot: Span, whole: Span
) -> list[Span | list[int]]:
    """Return the candidates of some blocks, by block, in the question's order."""
    blocks: Sequence[int] = range(*lot)
    if any(question.occurred):
        since, until = question.occurred
        cursor = await connection.execute(BLOCKS, [*lot, since, since, until, until], prepare=True)
        blocks = sorted([row[0] for row in await cursor.fetchall()])
    if question.descending:
        blocks = list(reversed(blocks))
    buckets = question.buckets
    if not buckets:
        return [(max(n * BLOCK + 1, whole[0]), min((n + 1) * BLOCK + 1, whole[1])) for n in blocks]
    cursor = await connection.execute(POSTINGS, [buckets, *lot], prepare=True)
    places: dict[int, list[bytes]] = {}
    for block, stored in await cursor.fetchall():
        places.setdefault(block, []).append(stored)
    return [
        positions_in(block, places[block], whole, descending=question.descending)
        for block in blocks
        if len(places.get(block, ())) == len(buckets)
    ]


def positions_in(block: int, stored: list[bytes], whole: Span, *, descending: bool) -> list[int]:
    """Return the positions in a block that are in all of its buckets, within bounds."""
    marks = unpacked(min(stored, key=len))
    for places in sorted(stored, key=len)[1:]:
        if not marks:
            break
        marks &= unpacked(places)
    first = block * BLOCK + 1
    found = [first + place for place in places_in(marks) if whole[0] <= first + place < whole[1]]
    return found[::-1] if descending else found


async def candidates(
    connection: AsyncConnection[TupleRow], question: Question, span: Span | list[int], limit: int
) -> list[Entry]:
    """Return the first of some candidates that are asked for indeed."""
    if isinstance(span, tuple):
        return await scan(connection, question, span, limit)
    found: list[Entry] = []
    condition, values = question.conditions()
    query = f"select {COLUMNS} from events where position = any(%s::bigint[]) and {condition}"  # noqa: S608 - our own names
    for at in range(0, len(span), CANDIDATES_AT_ONCE):
        some = span[at : at + CANDIDATES_AT_ONCE]
        cursor = await connection.execute(query.encode(), [some, *values], prepare=True)
        rows = await cursor.fetchall()
        found += map(entry, sorted(rows, key=lambda row: row[0], reverse=question.descending))
        if len(found) >= limit:
            break
    return found[:limit]


async def scan(
    connection: AsyncConnection[TupleRow], question: Question, span: Span, limit: int
) -> list[Entry]:
    """Return the first events asked for of a stretch, looking at each of them, or at a stream's."""
    condition, values = question.conditions()
    # A stream's versions rise with positions: so its own index gives the order.
    order = "version" if question.stream_id else "position"
    direction = "desc" if question.descending else "asc"
    query = (
        f"select {COLUMNS} from events where position >= %s and position < %s and {condition}"  # noqa: S608 - our own names
        f" order by {order} {direction} limit %s"
    )
    cursor = await connection.execute(query.encode(), [*span, *values, limit], prepare=True)
    return [entry(row) for row in await cursor.fetchall()]
