"""Reading the log: streams, pages, where it ends, who holds a value; away means unavailable."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import monotonic
from uuid import UUID

import psycopg
import pytest

from domain.order import OrderDelivered
from event_store.connections import connect
from event_store.event_types import Event, UnknownEvent
from event_store.loader import Wanted
from event_store.reading import end_of, head, page
from event_store.records import Claim, StoreUnavailable
from event_store.store import EventStore
from tests.conftest import tampering
from tests.event_store.asynchronous import on_a_loop
from tests.event_store.given import appending, change, command, keyring, note, noting
from tests.event_store.road import open_gate, road_to, swallow

ONE, TWO, THREE = (UUID(int=number) for number in (1, 2, 3))


@asynccontextmanager
async def opened(database_url: str, *, readers: int = 2) -> AsyncIterator[EventStore]:
    """Run an event store for the length of a block."""
    store = EventStore(database_url, keys=keyring(), on_append=lambda _: None, readers=readers)
    await store.open()
    try:
        yield store
    finally:
        await store.close()


@on_a_loop
async def test_a_stream_is_read_in_order_and_one_that_is_not_there_is_empty(
    database_url: str,
) -> None:
    async with opened(database_url) as store:
        await store.append(command(change(ONE, 0, note("a"), note("b")), change(TWO, 0, note("c"))))
        await store.append(noting(ONE, 2, "d"))
        assert await store.load(ONE) == [note("a"), note("b"), note("d")]
        assert await store.load(THREE) == []
        wanted = [Wanted(TWO), Wanted(THREE), Wanted(ONE, after=1), Wanted(TWO)]
        loaded = await store.load_after(wanted)
        assert [one.events for one in loaded] == [
            [note("c")],
            [],
            [note("b"), note("d")],
            [note("c")],
        ]
        assert [one.base for one in loaded] == [0, 0, 1, 0]
        assert await store.load_after([]) == []


@on_a_loop
async def test_a_store_says_where_the_log_ends_and_who_holds_a_value(database_url: str) -> None:
    async with opened(database_url) as store:
        assert await store.head() == 0
        claim = Claim("user.email", "a@x", ONE)
        appended = await store.append(command(change(ONE, 0, note(), note()), claims=[claim]))
        assert await store.head() == appended.position == 2
        assert await store.find("user.email", "a@x") == ONE
        assert await store.find("user.email", "b@x") is None
        assert await store.find("product.sku", "a@x") is None


@on_a_loop
async def test_a_page_holds_the_named_events_after_a_position_up_to_another(
    database_url: str,
) -> None:
    async with appending(database_url) as appender:
        many: list[Event] = [note("1"), OrderDelivered(), note("3"), note("4"), OrderDelivered()]
        appended = await appender.append(command(change(ONE, 0, *many)))
    with connect(database_url, name="test") as connection:
        assert [e.position for e in page(connection, 1, 4, ["order.note_added"], keyring())] == [
            3,
            4,
        ]
        assert [e.position for e in page(connection, 0, 9, ["order.delivered"])] == [2, 5]
        assert page(connection, 5, 9, ["order.delivered"]) == []
        assert page(connection, 0, 9, []) == []
        assert head(connection) == 5
        assert end_of(connection) == (5, appended.recorded_at)


@on_a_loop
async def test_an_event_that_this_release_does_not_know_is_not_skipped(database_url: str) -> None:
    async with opened(database_url) as store:
        await store.append(noting(ONE))
        with tampering(database_url) as connection:
            connection.execute("update events set schema_version = 3")
            with pytest.raises(UnknownEvent, match="position 1"):
                page(connection, 0, 9, ["order.note_added"], keyring())
        with pytest.raises(UnknownEvent, match="position 1"):
            await store.load(ONE)


@on_a_loop
async def test_postgres_that_is_away_is_unavailable_in_time_and_found_again() -> None:
    nowhere = "postgresql://postgres@127.0.0.1:9/daybook"
    async with opened(nowhere) as store:
        began = monotonic()
        with pytest.raises(StoreUnavailable):
            await store.load(ONE)
        with pytest.raises(StoreUnavailable):
            await store.append(noting(ONE))
        assert monotonic() - began < 6


@on_a_loop
async def test_reading_goes_on_within_two_seconds_after_every_connection_was_killed(
    database_url: str,
) -> None:
    async with opened(database_url, readers=4) as store:
        await store.append(noting(ONE, text="kept"))
        await asyncio.gather(*(store.load(ONE) for _ in range(20)))
        async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as killer:
            await killer.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity"
                " where datname = current_database() and pid <> pg_backend_pid()"
            )
        began = monotonic()
        while True:
            try:
                loaded = await asyncio.gather(*(store.load(ONE) for _ in range(20)))
            except StoreUnavailable:
                assert monotonic() - began < 2
            else:
                break
        assert loaded == [[note("kept")]] * 20


@on_a_loop
async def test_a_silent_postgres_is_unavailable_within_the_deadline(database_url: str) -> None:
    async with road_to(database_url) as road, opened(road.url) as store:
        await store.append(noting(ONE))
        assert await store.load(ONE) == [note()]
        road.down = swallow
        began = monotonic()
        for answer in await asyncio.gather(
            *(store.load(ONE) for _ in range(8)), return_exceptions=True
        ):
            assert isinstance(answer, StoreUnavailable)
        assert monotonic() - began < 6
        road.down = open_gate
        began = monotonic()
        while True:
            try:
                assert await store.load(ONE) == [note()]
            except StoreUnavailable:
                assert monotonic() - began < 5
            else:
                break


@on_a_loop
async def test_readers_find_postgres_within_two_seconds_after_a_long_absence(
    database_url: str,
) -> None:
    async with road_to(database_url) as road, opened(road.url) as store:
        await store.append(noting(ONE))
        road.refuses = True
        for passage in road.passages:
            passage.client.transport.abort()
        began = monotonic()
        while monotonic() - began < 8:
            with pytest.raises(StoreUnavailable):
                await store.load(ONE)
        road.refuses = False
        began = monotonic()
        while True:
            try:
                assert await store.load(ONE) == [note()]
            except StoreUnavailable:
                assert monotonic() - began < 2.5
            else:
                break


@on_a_loop
async def test_readers_that_leave_in_the_middle_take_nobody_elses_answer(database_url: str) -> None:
    streams = [UUID(int=number) for number in range(1, 41)]
    async with opened(database_url) as store:
        await asyncio.gather(*(store.append(noting(s, text=str(s.int))) for s in streams))
        leaving = [asyncio.create_task(store.load(stream)) for stream in streams * 5]
        for number, task in enumerate(leaving):
            if number % 7 == 0:
                await asyncio.sleep(0)
            task.cancel()
        await asyncio.gather(*leaving, return_exceptions=True)
        loaded = await asyncio.gather(*(store.load(stream) for stream in streams))
    assert loaded == [[note(str(stream.int))] for stream in streams]
