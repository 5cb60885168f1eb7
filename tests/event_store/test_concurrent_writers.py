"""Many writers in several processes, and a reader who follows: nothing skipped, nothing twice."""

import asyncio
import multiprocessing
from concurrent.futures import ProcessPoolExecutor, wait
from uuid import UUID, uuid4

import pytest

from event_store.connections import connect
from event_store.reading import head, page
from event_store.records import Appended, Recorded, VersionConflict
from tests.event_store.asynchronous import on_a_loop
from tests.event_store.given import NAMES, answers_to, appending, kinds, noting, positions, rows
from tests.event_store.writing import Ledger, write, write_many

STREAMS = [UUID(int=number) for number in range(1, 6)]


def followed(database_url: str, pool: ProcessPoolExecutor) -> tuple[list[Recorded], Ledger]:
    """Let writers write, follow the log meanwhile; return what was seen and acknowledged."""
    writers = [pool.submit(write, database_url, seed, STREAMS, 40) for seed in range(4)]
    seen: list[Recorded] = []
    with connect(database_url, name="test") as connection:
        going = True
        while going:
            going = bool(wait(writers, timeout=0.001).not_done)
            after = seen[-1].position if seen else 0
            seen += page(connection, after, head(connection), NAMES)
    return seen, [entry for writer in writers for entry in writer.result()]


def test_a_reader_who_follows_sees_every_event_once_and_in_order(database_url: str) -> None:
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(4, mp_context=spawn) as pool:
        seen, ledger = followed(database_url, pool)
    count = len(positions(database_url))
    assert count > 100
    assert [event.position for event in seen] == list(range(1, count + 1))
    recorded = [event.recorded_at for event in seen]
    assert recorded == sorted(recorded)
    # What was acknowledged is what is there, each at the position that was told.
    query = "select command_id, position from events order by position"
    assert sorted(ledger, key=lambda entry: entry[1]) == rows(database_url, query)
    for stream in STREAMS:
        versions = [event.version for event in seen if event.stream_id == stream]
        assert versions == list(range(1, len(versions) + 1))


@pytest.mark.parametrize("writers", [2, 3, 5, 8, 50])
@on_a_loop
async def test_of_writers_with_one_expected_version_one_succeeds(
    database_url: str, writers: int
) -> None:
    stream = uuid4()
    async with appending(database_url) as one, appending(database_url) as other:
        await one.append(noting(stream))
        half = writers // 2
        both = await asyncio.gather(
            answers_to(one, [noting(stream, 1) for _ in range(half)]),
            answers_to(other, [noting(stream, 1) for _ in range(writers - half)]),
        )
    answers = [*both[0], *both[1]]
    assert sorted(kinds(answers)) == ["Appended"] + ["VersionConflict"] * (writers - 1)
    assert {a.found for a in answers if isinstance(a, VersionConflict)} == {2}
    assert [a.position for a in answers if isinstance(a, Appended)] == [2]


@on_a_loop
async def test_writers_in_one_process_share_the_log_too(database_url: str) -> None:
    ledgers = await asyncio.gather(
        *(write_many(database_url, seed, STREAMS, 10) for seed in range(3))
    )
    acknowledged = sorted(position for ledger in ledgers for _, position in ledger)
    assert acknowledged == positions(database_url) == list(range(1, len(acknowledged) + 1))
