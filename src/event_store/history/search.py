"""Finding the events that are asked for: the index names candidates, SQL decides, page by page.

A page costs at most the candidates of the blocks that it has to look into, newest or oldest first.
"""

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

from psycopg import AsyncConnection
from psycopg.rows import TupleRow

from event_store import reading
from event_store.history.entries import COLUMNS, Entry, entry
from event_store.history.lookups import Lot, Span, in_blocks
from event_store.history.postings import BLOCK
from event_store.history.questions import Question

FIRST_BLOCKS, MOST_BLOCKS = 8, 256
MOST_CANDIDATES = 500

INDEXED = "select blocks from history_index"
# Halves where the event can be until that is one position, in one round trip.
FIRST_SINCE = """
with recursive halved (low, high) as (
    select 1::bigint, %b::bigint + 1
    union all
    select case when earlier then middle + 1 else low end,
           case when earlier then high else middle end
      from halved,
           lateral (select (low + high) / 2 as middle) as half,
           lateral (
               select (select recorded_at from events where position = middle) < %b as earlier
           ) as compared
     where low < high
)
select low from halved where low = high
"""


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
    return int(await one(connection, FIRST_SINCE, head, moment))


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
            Lot(max(first, last - size), last, whole)
            if question.descending
            else Lot(first, min(last, first + size), whole)
        )
        for found in await in_blocks(connection, question, lot):
            yield found
        first, last = (first, lot.first) if question.descending else (lot.last, last)
        size = min(2 * size, MOST_BLOCKS)
    if not question.descending and rest[0] < rest[1]:
        yield rest


async def candidates(
    connection: AsyncConnection[TupleRow], question: Question, span: Span | list[int], limit: int
) -> list[Entry]:
    """Return the first of some candidates that are asked for indeed."""
    if isinstance(span, tuple):
        return await scan(connection, question, span, limit)
    found: list[Entry] = []
    condition, values = question.conditions()
    query = f"select {COLUMNS} from events where position = any(%s::bigint[]) and {condition}"  # noqa: S608 - our own names
    at, size = 0, 2 * limit  # nearly all of them are what is asked for
    while at < len(span) and len(found) < limit:
        size = min(size, MOST_CANDIDATES)
        some = span[at : at + size]
        at, size = at + size, 2 * size
        cursor = await connection.execute(query.encode(), [some, *values], prepare=True)
        rows = await cursor.fetchall()
        found += map(entry, sorted(rows, key=lambda row: row[0], reverse=question.descending))
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
