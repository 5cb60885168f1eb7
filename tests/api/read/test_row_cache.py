"""Cached rows: as new as the table's whatever happens, for nobody else, and never in the way."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from litestar.testing import TestClient
from redis import Redis
from structlog.testing import capture_logs

from api.read.access import visible_order
from api.request_context import Caller
from api.tokens import Tokens
from domain import product, user
from domain.refusal import NotFound
from event_store.records import StreamChange
from projections import orders, products, users
from projections.products import PRODUCTS
from projections.projection import Row
from projections.reading.row_cache import RowCache
from projections.reading.rows_in_redis import RowsInRedis, Seen, name_of
from projections.reading.touched import Touched
from projections.reading.views import Views
from projections.switched_on import PROJECTIONS
from tests.api.conftest import KEYS, refused
from tests.api.read.conftest import new_app
from tests.domain.given import pounds
from tests.event_store.given import appending, command, rows
from tests.projections.given import ALICE, BOB, ORDER, STORY, TEAPOT, append, append_sealed, post
from tests.stories.running import wait_until

NOWHERE = "redis://127.0.0.1:1/0"
ALL = (
    (users.PROJECTION, users.USERS, ALICE),
    (products.PROJECTION, PRODUCTS, TEAPOT),
    (orders.PROJECTION, orders.ORDERS, ORDER),
)
Read = Callable[[UUID], Coroutine[Any, Any, Any]]


@pytest.fixture(scope="module")
def told(database_url: str) -> str:
    """Give a database with a story in its views."""
    append(database_url, STORY)
    post(database_url)
    return database_url


@pytest.fixture(params=[0, 1_000], ids=["redis", "memory"])
def most(request: pytest.FixtureRequest) -> int:
    """Say how many rows a process has in memory: also none, so that all come from Redis."""
    return int(request.param)


@asynccontextmanager
async def caching(
    database_url: str, redis_url: str, *, most: int = 1_000
) -> AsyncIterator[tuple[Views, RowCache]]:
    """Read over an empty cache that has begun to follow the log."""
    with Redis.from_url(redis_url) as redis:
        if redis_url != NOWHERE:
            redis.flushdb()
    touched = Touched(database_url, PROJECTIONS.values(), 300)
    cache = RowCache(touched, 300, RowsInRedis(redis_url, 300), most=most)
    async with Views(database_url, cache=cache) as views:
        async with asyncio.timeout(10):
            while cache.generation(PRODUCTS) is None:  # noqa: ASYNC110 - nothing tells
                await asyncio.sleep(0.01)
        yield views, cache


async def one_of(views: Views) -> tuple[Row | None, int]:
    """Return the teapot's row as clients would get it, and its position."""
    return await views.one(products.PROJECTION, PRODUCTS, (TEAPOT,))


async def name_in(views: Views) -> str:
    """Return the teapot's name as a client would see it."""
    row, _ = await one_of(views)
    assert row is not None
    return str(row["name"])


async def until_named(views: Views, name: str) -> None:
    """Wait until clients see a name."""
    async with asyncio.timeout(5):
        while await name_in(views) != name:  # noqa: ASYNC110 - it is polled, as clients do
            await asyncio.sleep(0.01)


async def renamed(database_url: str, name: str) -> int:
    """Rename the teapot and post that, as other processes do; return the position."""
    version = "select max(version) from events where stream_id = %s"
    ((expected,),) = await asyncio.to_thread(rows, database_url, version, TEAPOT)
    async with appending(database_url) as appender:
        events = (product.ProductRenamed(name),)
        done = await appender.append(command(StreamChange(TEAPOT, "product", expected, events)))
    await asyncio.to_thread(post, database_url)
    return done.position


def test_a_cached_row_is_the_row(told: str, redis_url: str) -> None:
    async def story() -> None:
        async with Views(told) as plain, caching(told, redis_url) as (views, cache):
            for projection, table, key in ALL:
                row, position = await plain.one(projection, table, (key,))
                assert row is not None
                first = await views.one(projection, table, (key,))
                assert first == (row, position)
                found = (await cache.find(table, {key: position}))[key]
                assert found.position == position
                assert found.row == {name: row[name] for name in found.row or {}}
                assert set(row) - set(found.row or {}) == {
                    "list_row",
                    "list_position",
                    "list_parked",
                }
                assert await cache.find(table, {key: position + 1}) == {}

    asyncio.run(story())


def test_it_is_not_read_again_and_never_after_an_event(
    told: str, redis_url: str, most: int
) -> None:
    set_name = "update products_v1 set name = %s where id = %s returning 1"

    async def story() -> None:
        async with caching(told, redis_url, most=most) as (views, cache):
            name = await name_in(views)
            await asyncio.to_thread(rows, told, set_name, "Behind its back", TEAPOT)
            assert await name_in(views) == name
            position = await renamed(told, "Renamed by another")
            cache.wake(position)
            await until_named(views, "Renamed by another")

    asyncio.run(story())


def test_it_is_as_new_as_its_reader_insists_on(told: str, redis_url: str, most: int) -> None:
    async def story() -> None:
        async with caching(told, redis_url, most=most) as (views, _):
            for number in range(5):
                await name_in(views)
                position = await renamed(told, f"Insisted {number}")
                assert await name_in(views.insisting(position, 2)) == f"Insisted {number}"

    asyncio.run(story())


def test_an_old_row_that_comes_late_into_the_cache_is_not_believed(
    told: str, redis_url: str, most: int
) -> None:
    async def story() -> None:
        async with caching(told, redis_url, most=most) as (views, cache):
            generation = cache.generation(PRODUCTS)
            row, position = await views.one(products.PROJECTION, PRODUCTS, (TEAPOT,))
            after = await renamed(told, "After the slow reader")
            await cache.keep(PRODUCTS, generation, {TEAPOT: Seen(row, position)})
            cache.wake(after)
            async with asyncio.timeout(5):
                while await name_in(views) != "After the slow reader":
                    await cache.keep(PRODUCTS, generation, {TEAPOT: Seen(row, position)})
                    await asyncio.sleep(0.01)
            await cache.keep(PRODUCTS, generation, {TEAPOT: Seen(row, position)})
            assert await name_in(views) == "After the slow reader"

    asyncio.run(story())


def test_what_one_may_see_is_not_shown_to_another(told: str, redis_url: str, most: int) -> None:
    def caller(user_id: UUID, role: str) -> Caller:
        return Caller(user_id, uuid4(), role, 1, 2**40)

    async def story() -> None:
        async with caching(told, redis_url, most=most) as (views, cache):
            for _ in range(2):
                row, position = await visible_order(views, caller(ALICE, "customer"), ORDER)
                assert row["user_id"] == ALICE
                with pytest.raises(NotFound):
                    await visible_order(views, caller(BOB, "customer"), ORDER)
                assert await visible_order(views, caller(BOB, "staff"), ORDER)
                assert await cache.find(orders.ORDERS, {ORDER: position})

    asyncio.run(story())


def test_a_row_from_memory_has_its_version_and_spares_an_answer(told: str) -> None:
    set_name = "update products_v1 set name = %s where id = %s returning 1"
    cache = RowCache(Touched(told, PROJECTIONS.values(), 300), 300, None, most=1_000)
    where = f"/api/v1/products/{TEAPOT}"
    with TestClient(new_app(told, Tokens(KEYS, "first"), cache=cache)) as client:
        wait_until(lambda: cache.generation(PRODUCTS) is not None, 10)
        first = client.get(where)
        rows(told, set_name, "Behind its back", TEAPOT)
        assert client.get(where).json()["data"] == first.json()["data"], "it is from memory"
        tag = first.headers["etag"]
        spared = client.get(where, headers={"If-None-Match": tag})
        assert (spared.status_code, spared.content) == (304, b"")
        assert spared.headers["etag"] == tag
        assert spared.headers["daybook-position"] == first.headers["daybook-position"]
        other = client.get(where, headers={"If-Match": '"another"'})
        assert refused(other, 412, "PRECONDITION_FAILED")


def test_rows_of_a_table_that_was_swapped_out_are_not_shown(
    told: str, redis_url: str, most: int
) -> None:
    swap = """
        alter table products_v1 set schema retired;
        create table products_v1 (like retired.products_v1 including all);
        insert into products_v1 select * from retired.products_v1;
        grant all on products_v1 to public;
        update products_v1 set name = 'Built anew';
    """
    back = "drop table products_v1; alter table retired.products_v1 set schema public"

    async def story() -> None:
        async with caching(told, redis_url, most=most) as (views, _):
            assert await name_in(views) != "Built anew"
            await asyncio.to_thread(run_all, told, swap)
            try:
                await until_named(views, "Built anew")
            finally:
                await asyncio.to_thread(run_all, told, back)

    asyncio.run(story())


def run_all(database_url: str, statements: str) -> None:
    """Run some statements."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(statements.encode())


def test_what_is_no_row_is_read_from_the_table(told: str, redis_url: str) -> None:
    async def story() -> None:
        async with caching(told, redis_url, most=0) as (views, cache):
            name = await name_in(views)
            generation = cache.generation(PRODUCTS)
            assert generation is not None
            with Redis.from_url(redis_url) as redis:
                for wrong in (b"", b"x", b"\xff\xff", b"\x92\x01\x90", b"\x93\x01\x90\x90"):
                    redis.set(name_of(PRODUCTS, generation, TEAPOT), wrong)
                    assert await name_in(views) == name

    asyncio.run(story())


async def of_each(views: Views, ids: list[UUID]) -> list[UUID | None]:
    """Ask for all at once; return whose row each got."""
    asked = (views.one(products.PROJECTION, PRODUCTS, (one,)) for one in ids)
    return [row and row["id"] for row, _ in await asyncio.gather(*asked)]


@pytest.mark.parametrize("away", [False, True])
def test_five_hundred_at_once_get_their_rows_also_while_redis_is_away(
    told: str,
    redis_url: str,
    away: bool,  # noqa: FBT001 - the two cases
) -> None:
    async def story() -> None:
        async with caching(told, NOWHERE if away else redis_url) as (views, _):
            ids = [TEAPOT, *(one for _, _, one in ALL), *(uuid4() for _ in range(496))]
            expected = [one if one == TEAPOT else None for one in ids]
            with capture_logs() as logged:
                for _ in range(3):
                    began = time.monotonic()
                    assert await of_each(views, ids) == expected
                    assert time.monotonic() - began < 2
            assert [one["event"] for one in logged] == ["redis_down"] * away

    asyncio.run(story())


def test_a_storm_of_cancelled_reads_gives_nobody_anothers_row(
    told: str, redis_url: str, most: int
) -> None:
    async def story() -> None:
        async with caching(told, redis_url, most=most) as (views, _):
            keys = [(projection, table, key) for projection, table, key in ALL]
            await asyncio.gather(*(views.one(p, t, (key,)) for p, t, key in keys))
            for _ in range(20):
                storm = [asyncio.create_task(views.one(p, t, (key,))) for p, t, key in keys * 17]
                await asyncio.sleep(0.0003)
                for task in storm:
                    task.cancel()
            for _ in range(334):
                found = await asyncio.gather(*(views.one(p, t, (key,)) for p, t, key in keys))
                assert [row and row["id"] for row, _ in found] == [key for _, _, key in keys]

    asyncio.run(story())


def test_a_row_is_known_to_be_true_as_far_as_the_log_has_been_read(
    told: str, redis_url: str, most: int
) -> None:
    """So whoever insists on a command about something else need not wait for the view."""

    async def story() -> None:
        async with caching(told, redis_url, most=most) as (views, cache):
            name = await name_in(views)
            other = uuid4()
            listed = product.ProductListed(str(other), "Another", pounds("1.00"), None)
            async with appending(told) as appender:
                change = StreamChange(other, "product", 0, (listed,))
                done = await appender.append(command(change))
            async with asyncio.timeout(5):
                while (await one_of(views))[1] < done.position:
                    cache.wake(done.position)
                    await asyncio.sleep(0.01)
            assert await name_in(views) == name
            await asyncio.to_thread(post, told)

    asyncio.run(story())


def test_memory_holds_so_many_rows_and_lets_the_oldest_go(told: str, redis_url: str) -> None:
    async def story() -> None:
        async with caching(told, redis_url, most=2) as (views, cache):
            for projection, table, key in ALL:
                await views.one(projection, table, (key,))
            here = [cache.near(table, key, 0) is not None for _, table, key in ALL]
            assert here == [False, True, True]

    asyncio.run(story())


def test_what_an_event_has_touched_is_gone_from_memory(told: str, redis_url: str) -> None:
    """Nobody who is forgotten stays there because nobody asks for them."""

    async def story() -> None:
        async with caching(told, redis_url) as (views, cache):
            await name_in(views)
            assert cache.places == [(PRODUCTS.name, TEAPOT)]
            cache.wake(await renamed(told, "Touched"))
            async with asyncio.timeout(5):
                while cache.places:  # noqa: ASYNC110 - nothing tells
                    await asyncio.sleep(0.01)

    asyncio.run(story())


async def until_near(views: Views, cache: RowCache) -> None:
    """Ask for the teapot until it comes from memory."""
    async with asyncio.timeout(10):
        while cache.near(PRODUCTS, TEAPOT, 0) is None:
            await one_of(views)
            await asyncio.sleep(0.01)


def test_a_row_in_memory_is_used_for_its_time_only(told: str) -> None:
    async def story() -> None:
        touched = Touched(told, [products.PROJECTION], 300)
        async with Views(told, cache=(cache := RowCache(touched, 0.2))) as views:
            await until_near(views, cache)
            async with asyncio.timeout(10):
                while cache.near(PRODUCTS, TEAPOT, 0) is not None:  # noqa: ASYNC110 - time passes
                    await asyncio.sleep(0.01)
            assert cache.places

    asyncio.run(story())


def test_the_log_is_followed_while_rows_are_asked_for_and_no_longer(
    told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("projections.reading.touched.ASLEEP_SECONDS", 0.3)

    async def story() -> None:
        touched = Touched(told, [products.PROJECTION], 300)
        async with Views(told, cache=(cache := RowCache(touched, 300))) as views:
            await until_near(views, cache)
            async with asyncio.timeout(10):
                while cache.places:  # noqa: ASYNC110 - nothing tells that it sleeps
                    await asyncio.sleep(0.01)
            await renamed(told, "While it slept")
            assert await name_in(views) == "While it slept"
            await until_near(views, cache)
            assert await name_in(views) == "While it slept"

    asyncio.run(story())


def test_a_cache_that_cannot_read_the_log_gives_no_row(
    told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a row would be shown that events have changed meanwhile, for as long as it is kept."""
    monkeypatch.setattr("projections.reading.touched.BLIND_SECONDS", 0.4)
    monkeypatch.setattr("projections.reading.touched.ASLEEP_SECONDS", 60)

    async def story() -> None:
        touched = Touched(told, [products.PROJECTION], 300)
        async with Views(told, cache=(cache := RowCache(touched, 300))) as views:
            await until_near(views, cache)
            with psycopg.connect(told) as holder:
                holder.execute("lock table events, log_head in access exclusive mode")
                await asyncio.sleep(0.8)  # longer than it is believed without a look
                assert cache.near(PRODUCTS, TEAPOT, 0) is None
                holder.rollback()
            await until_near(views, cache)

    asyncio.run(story())


def test_a_redis_that_says_nothing_keeps_one_reading_waiting_and_no_other() -> None:
    async def story() -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            url = f"redis://127.0.0.1:{silent.getsockname()[1]}/0"
            redis = RowsInRedis(url, 300)
            assert await redis.find(PRODUCTS, "generation", [TEAPOT]) == {}
            began = time.monotonic()
            assert await redis.find(PRODUCTS, "generation", [TEAPOT]) == {}
            assert time.monotonic() - began < 0.15
            await redis.close()

    asyncio.run(story())


def test_what_was_touched_longer_ago_than_it_remembers_is_not_believed(told: str) -> None:
    """A view that is so far behind gives rows that are old already when they are kept."""

    async def story() -> None:
        touched = Touched(told, [products.PROJECTION], 0.2)
        async with Views(told, cache=(cache := RowCache(touched, 300))) as views:
            await until_near(views, cache)
            generation = cache.generation(PRODUCTS)
            row, before = await one_of(views)
            after = await renamed(told, "Long ago")
            async with asyncio.timeout(10):
                while touched.true_until(PRODUCTS, uuid4(), after - 1) is not None:
                    cache.generation(PRODUCTS)
                    await asyncio.sleep(0.01)
            await cache.keep(PRODUCTS, generation, {TEAPOT: Seen(row, before)})
            assert cache.near(PRODUCTS, TEAPOT, 0) is None

    asyncio.run(story())


def test_it_needs_no_keys_to_follow_what_is_encrypted(told: str) -> None:
    async def story() -> None:
        touched = Touched(told, [users.PROJECTION, products.PROJECTION], 300)
        async with Views(told, cache=(cache := RowCache(touched, 300))) as views:
            await until_near(views, cache)
            _, before = await one_of(views)
            carol = uuid4()
            registered = user.UserRegistered("carol@example.com", "Carol", "hash", "customer")
            with capture_logs() as logged:
                await asyncio.to_thread(append_sealed, told, [(carol, registered)], carol)
                async with asyncio.timeout(5):
                    while touched.true_until(users.USERS, carol, before) is not None:
                        cache.generation(PRODUCTS)
                        await asyncio.sleep(0.01)
            assert logged == []

    asyncio.run(story())
