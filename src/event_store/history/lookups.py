"""What the index says of some blocks: where the events of a question can be, in its order."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from psycopg import AsyncConnection
from psycopg.rows import TupleRow

from event_store.history.postings import BLOCK, STRETCH, in_all
from event_store.history.questions import Question
from event_store.history.volumes import VOLUME

STRETCHES = BLOCK // STRETCH
"""Stretches in a block."""
ENOUGH = 40
"""Candidates that are worth a statement."""

Span = tuple[int, int]
"""Positions, the first and the one after the last."""

# Both in one statement: what is bound into a volume meanwhile is in one of them, whole.
POSTINGS = """
select array[block], array[length(places)], places from history_postings
 where bucket = any(%(buckets)b::int[]) and block = any(%(blocks)b::int[])
union all
select blocks, lengths, places from history_volumes
 where bucket = any(%(buckets)b::int[]) and volume = any(%(volumes)b::int[])
"""
HAPPENED = """
select stretch from history_stretches
 where stretch >= %s and stretch < %s
   and (%s::timestamptz is null or occurred_to >= %s)
   and (%s::timestamptz is null or occurred_from < %s)
 order by stretch
"""


class Lot(NamedTuple):
    """Some blocks, the first and the one after the last; only positions of `whole` are wanted."""

    first: int
    last: int
    whole: Span


async def in_blocks(
    connection: AsyncConnection[TupleRow], question: Question, lot: Lot
) -> Iterator[Span | list[int]]:
    """Return, by block, stretches to scan or lists of candidates, in the question's order.

    Each block is looked through when it is asked for: the first may fill the page.
    """
    times = await stretches(connection, question, lot) if any(question.occurred) else None
    wanted = range(lot.first, lot.last) if times is None else sorted(times)
    blocks = wanted[:: -1 if question.descending else 1]
    buckets = question.buckets
    if not buckets:
        of = times or {}
        return (span for block in blocks for span in spans(of[block], question, lot.whole))
    places = await postings(connection, buckets, blocks)
    return gathered(
        positions_of(block, places[block], None if times is None else times[block], question, lot)
        for block in blocks
        if len(places[block]) == len(buckets)
    )


def gathered(lists: Iterable[list[int]]) -> Iterator[list[int]]:
    """Yield lists of candidates, those of few together: each is a statement."""
    some: list[int] = []
    for one in lists:
        some += one
        if len(some) >= ENOUGH:
            yield some
            some = []
    if some:
        yield some


async def stretches(
    connection: AsyncConnection[TupleRow], question: Question, lot: Lot
) -> dict[int, list[int]]:
    """Return which stretches have events that happened in a question's time, by block."""
    since, until = question.occurred
    ends = [lot.first * STRETCHES, lot.last * STRETCHES]
    values = [*ends, since, since, until, until]
    cursor = await connection.execute(HAPPENED, values, prepare=True)
    found: dict[int, list[int]] = {}
    for (stretch,) in await cursor.fetchall():
        found.setdefault(stretch // STRETCHES, []).append(stretch)
    return found


async def postings(
    connection: AsyncConnection[TupleRow], buckets: list[int], blocks: Sequence[int]
) -> dict[int, list[bytes]]:
    """Return what is stored of some buckets, by block."""
    found: dict[int, list[bytes]] = {block: [] for block in blocks}
    if not found:
        return found
    volumes = list({block // VOLUME for block in blocks})
    values = {"buckets": buckets, "blocks": [*blocks], "volumes": volumes}
    cursor = await connection.execute(POSTINGS, values, prepare=True, binary=True)
    for bound, lengths, places in await cursor.fetchall():
        at = 0
        for block, length in zip(bound, lengths, strict=True):
            if block in found:
                found[block].append(places[at : at + length])
            at += length
    return found


def positions_of(
    block: int, stored: Sequence[bytes], times: list[int] | None, question: Question, lot: Lot
) -> list[int]:
    """Return the positions in all buckets of a block, and its stretches, that are within bounds."""
    first, (low, high) = block * BLOCK + 1, lot.whole
    found = [first + place for place in in_all(stored) if low <= first + place < high]
    if times is not None:
        stretches_ = frozenset(times)
        found = [position for position in found if (position - 1) // STRETCH in stretches_]
    return found[::-1] if question.descending else found


def spans(some: list[int], question: Question, whole: Span) -> list[Span]:
    """Return the positions of some stretches within bounds; what is side by side is one."""
    found: list[Span] = []
    for stretch in some:
        low, high = stretch * STRETCH + 1, (stretch + 1) * STRETCH + 1
        if found and found[-1][1] == low:
            low = found.pop()[0]
        found.append((low, high))
    within = [(max(low, whole[0]), min(high, whole[1])) for low, high in found]
    return within[::-1] if question.descending else within
