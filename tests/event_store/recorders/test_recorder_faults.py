"""The recorder while connections die or fall silent: no lie, no double, an end in time."""

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from time import monotonic, sleep
from uuid import UUID, uuid4

import psycopg
import pytest
from eventsourcing.persistence import IntegrityError, OperationalError, StoredEvent, Tracking

from event_store.recorders.datastore import DEADLINE_SECONDS, Datastore
from event_store.recorders.process_recorder import LogProcessRecorder
from event_store.recorders.recorder import LogRecorder
from tests.event_store.asynchronous import on_a_loop
from tests.event_store.given import positions, rows
from tests.event_store.recorders.test_recorder_subscription import KILL
from tests.event_store.road import Passage, Road, cut, open_gate, road_to, swallow

ONE, TWO, THREE = (UUID(int=number) for number in (1, 2, 3))


def opened(stream_id: UUID, version: int = 1) -> StoredEvent:
    """Return an event of another program."""
    return StoredEvent(stream_id, version, "shop:Opened", b"{}")


@asynccontextmanager
async def on_the_road(road: Road) -> AsyncIterator[LogProcessRecorder]:
    """Return a recorder whose connections take the road."""
    datastore = Datastore(road.url)
    try:
        yield LogProcessRecorder(datastore)
    finally:
        await asyncio.to_thread(datastore.close)


def cut_after(road: Road, answers: int) -> None:
    """Let so many answers through, and cut the connection instead of giving the next."""

    async def count(passage: Passage, data: bytes) -> bytes:
        nonlocal answers
        answers -= 1
        if answers >= 0:
            return data
        road.down = open_gate
        return await cut(passage, data)

    road.down = count


@on_a_loop
async def test_an_answer_that_was_cut_off_after_the_commit_is_found_in_the_log(
    database_url: str,
) -> None:
    async with road_to(database_url) as road, on_the_road(road) as recorder:
        await asyncio.to_thread(recorder.insert_events, [opened(ONE)])
        cut_after(road, 1)  # the question which streams are there
        found = await asyncio.to_thread(recorder.insert_events, [opened(TWO), opened(ONE, 2)])
        assert road.down is open_gate
        with pytest.raises(IntegrityError):
            await asyncio.to_thread(recorder.insert_events, [opened(TWO)])
    assert found == [2, 3]
    assert positions(database_url) == [1, 2, 3]


@pytest.mark.parametrize("answers", range(7))
@on_a_loop
async def test_a_checkpoint_with_events_is_told_the_truth_wherever_it_is_cut(
    database_url: str, answers: int
) -> None:
    async with road_to(database_url) as road, on_the_road(road) as recorder:
        await asyncio.to_thread(recorder.insert_events, [opened(ONE)])
        cut_after(road, answers)
        found = await asyncio.to_thread(
            lambda: recorder.insert_events([opened(ONE, 2)], tracking=Tracking("Shop", 7))
        )
        cut_after(road, answers % 2)
        await asyncio.to_thread(recorder.insert_tracking, Tracking("Shop", 8))
        reached = await asyncio.to_thread(recorder.max_tracking_id, "Shop")
    assert (found, reached) == ([2], 8)
    assert positions(database_url) == [1, 2]


def test_killed_connections_lose_nothing_double_nothing_and_tell_no_lie(database_url: str) -> None:
    datastore = Datastore(database_url)
    recorder = LogRecorder(datastore)
    acknowledged: dict[UUID, list[int]] = {}
    ends = monotonic() + 3

    def insert() -> None:
        while monotonic() < ends:
            stream_id = uuid4()
            try:
                given = recorder.insert_events([opened(stream_id), opened(stream_id, 2)])
            except OperationalError:
                continue
            acknowledged[stream_id] = list(given or [])

    def kill() -> None:
        with psycopg.connect(database_url, autocommit=True) as killer:
            while monotonic() < ends:
                killer.execute(KILL)
                sleep(0.02)

    with ThreadPoolExecutor() as pool:
        for future in [pool.submit(kill), *(pool.submit(insert) for _ in range(4))]:
            future.result()
    datastore.close()
    query = "select stream_id, array_agg(position order by version) from events group by 1"
    stored = dict(rows(database_url, query))
    assert acknowledged
    assert {key: stored.get(key) for key in acknowledged} == acknowledged
    assert {len(found) for found in stored.values()} == {2}
    assert positions(database_url) == list(range(1, 2 * len(stored) + 1))


@on_a_loop
async def test_a_silent_postgres_is_an_operational_error_in_time(database_url: str) -> None:
    async with road_to(database_url) as road, on_the_road(road) as recorder:
        await asyncio.to_thread(recorder.insert_events, [opened(ONE)])
        road.down = swallow
        began = monotonic()
        asked = (
            asyncio.to_thread(recorder.insert_events, [opened(TWO)]),
            asyncio.to_thread(recorder.select_events, ONE),
        )
        answers = await asyncio.gather(*asked, return_exceptions=True)
        assert monotonic() - began < 7
        assert [isinstance(answer, OperationalError) for answer in answers] == [True, True]
        road.down = open_gate
        await asyncio.to_thread(recorder.insert_events, [opened(THREE)])


@on_a_loop
async def test_a_subscription_outlives_a_long_absence_of_postgres(database_url: str) -> None:
    async with road_to(database_url) as road, on_the_road(road) as recorder:
        await asyncio.to_thread(recorder.insert_events, [opened(ONE), opened(TWO)])
        with recorder.subscribe() as subscription:
            assert (await asyncio.to_thread(next, subscription)).id == 1
            assert (await asyncio.to_thread(next, subscription)).id == 2
            road.refuses = True
            for passage in road.passages:
                passage.client.transport.abort()
            waiting = asyncio.create_task(asyncio.to_thread(next, subscription))
            await asyncio.sleep(DEADLINE_SECONDS + 1)
            road.refuses = False
            await asyncio.to_thread(recorder.insert_events, [opened(THREE)])
            assert (await asyncio.wait_for(waiting, 10)).id == 3


@on_a_loop
async def test_a_process_that_freezes_in_a_transaction_frees_the_log_in_time(
    database_url: str,
) -> None:
    async with road_to(database_url) as road, on_the_road(road) as recorder:
        held = asyncio.Event()

        async def hold_commit(_: Passage, data: bytes) -> bytes:
            if b"COMMIT" not in data:
                return data
            held.set()
            await asyncio.sleep(60)
            return b""

        road.up = hold_commit
        frozen = asyncio.create_task(
            asyncio.to_thread(
                lambda: recorder.insert_events([opened(ONE)], tracking=Tracking("Shop", 1))
            )
        )
        await held.wait()
        datastore = Datastore(database_url)
        began = monotonic()
        while True:
            try:
                await asyncio.to_thread(LogRecorder(datastore).insert_events, [opened(TWO)])
            except OperationalError:
                assert monotonic() - began < 8
            else:
                break
        with pytest.raises(OperationalError):
            await frozen
        await asyncio.to_thread(datastore.close)
    assert [row[0] for row in rows(database_url, "select stream_id from events")] == [TWO]
