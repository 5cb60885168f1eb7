"""A rebuild leads to the rows that live posting led to, beside it and without stopping it."""

import asyncio
import threading

import psycopg
import pytest

from event_store.connections import connect
from projections import orders, products
from projections.listing import Request
from projections.posting import pages
from projections.projection import Projection
from projections.reading.views import Views
from projections.rebuilds.rebuild import RebuildRunning, labour, rebuild, start
from projections.switched_on import PROJECTIONS
from tests.event_store.given import appending
from tests.projections.given import (
    STORY,
    append,
    commands,
    everything,
    many_orders,
    position_of,
    post,
)


def rebuilt(database_url: str, projection: Projection) -> None:
    """Rebuild one projection and tell nobody."""
    with connect(database_url, name="rebuild") as connection:
        rebuild(connection, projection, lambda *_: None)


def test_a_rebuild_equals_the_live_rows(database_url: str) -> None:
    append(database_url, [*STORY, *many_orders(30)])
    post(database_url)
    live = everything(database_url)
    for projection in PROJECTIONS.values():
        rebuilt(database_url, projection)
    assert everything(database_url) == live
    assert any(live.values())


def test_a_rebuild_repairs_what_was_damaged(database_url: str) -> None:
    append(database_url, STORY)
    post(database_url)
    live = everything(database_url)
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("update products_v1 set stock = 1")
        connection.execute("delete from orders_v1")
    for projection in (products.PROJECTION, orders.PROJECTION):
        rebuilt(database_url, projection)
    assert everything(database_url) == live


def test_a_rebuilt_view_is_posted_on(database_url: str) -> None:
    append(database_url, STORY)
    for projection in PROJECTIONS.values():
        rebuilt(database_url, projection)
    append(database_url, many_orders(5))
    post(database_url)
    live = everything(database_url)
    assert len(live["orders_v1"]) == 3 + 5
    for projection in PROJECTIONS.values():
        rebuilt(database_url, projection)
    assert everything(database_url) == live


def test_the_indexes_come_along(database_url: str) -> None:
    query = "select indexdef from pg_indexes where schemaname = 'public' order by 1"
    with psycopg.connect(database_url, autocommit=True) as connection:
        before = connection.execute(query).fetchall()
        for _ in range(2):
            for projection in PROJECTIONS.values():
                rebuilt(database_url, projection)
        assert connection.execute(query).fetchall() == before


async def write_on(database_url: str) -> None:
    """Append orders, one after another."""
    async with appending(database_url) as appender:
        for one in commands(many_orders(200, first=1_000)):
            await appender.append(one)


async def read_on(database_url: str, done: threading.Event, problems: list[str]) -> None:
    """Read the list again and again, and note what a reader must not see."""
    first = Request(sort_by="placedAt", descending=True, limit=20, offset=0)
    newest = 0
    async with Views(database_url) as views:
        while not done.is_set():
            page = await views.list(orders.LISTING, first)
            if page.total < 200 or page.position < newest:
                problems.append(f"{page.total} orders at {page.position} after {newest}")
            newest = page.position


def test_events_and_readers_go_on_during_a_rebuild(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Readers see all that was there at the start, at every moment, and never an older view."""
    monkeypatch.setattr(pages, "PAGE", 20)
    append(database_url, [STORY[0], *many_orders(200)])
    post(database_url)
    done = threading.Event()
    problems: list[str] = []
    writer = threading.Thread(target=lambda: asyncio.run(write_on(database_url)))
    reader = threading.Thread(target=lambda: asyncio.run(read_on(database_url, done, problems)))
    writer.start()
    reader.start()
    for _ in range(4):
        rebuilt(database_url, orders.PROJECTION)
        post(database_url, orders.PROJECTION)
    writer.join(60)
    done.set()
    reader.join(20)
    post(database_url)
    live = everything(database_url)
    assert problems == []
    assert len(live["orders_v1"]) == 400
    rebuilt(database_url, orders.PROJECTION)
    assert everything(database_url) == live


def test_what_was_posted_meanwhile_is_in_the_new_tables(database_url: str) -> None:
    append(database_url, STORY)
    post(database_url)
    late = iter([many_orders(5)])

    def report(*_: int) -> None:
        for story in late:
            append(database_url, story)
            post(database_url)

    with connect(database_url, name="rebuild") as connection:
        rebuild(connection, orders.PROJECTION, report)
    assert len(everything(database_url)["orders_v1"]) == 3 + 5
    assert position_of(database_url, orders.PROJECTION) == len(STORY) + 5


def test_a_second_rebuild_at_once_is_refused(database_url: str) -> None:
    append(database_url, STORY)
    working = {"products": products.PROJECTION}
    with connect(database_url, name="first") as first, labour(first, working) as at_work:
        start(first, products.PROJECTION)
        with pytest.raises(RebuildRunning, match="being rebuilt already"):
            start(first, products.PROJECTION)
        at_work._crew.beat(first)
        with pytest.raises(RebuildRunning, match="products is being rebuilt already"):
            rebuilt(database_url, products.PROJECTION)
        rebuilt(database_url, orders.PROJECTION)
    rebuilt(database_url, products.PROJECTION)


def test_a_rebuild_that_fails_leaves_the_live_rows(database_url: str) -> None:
    append(database_url, STORY)
    post(database_url)
    live = everything(database_url)

    def refuse(*_: int) -> None:
        raise KeyboardInterrupt

    with connect(database_url, name="rebuild") as connection, pytest.raises(KeyboardInterrupt):
        rebuild(connection, orders.PROJECTION, refuse)
    assert everything(database_url) == live
    rebuilt(database_url, orders.PROJECTION)
    assert everything(database_url) == live


def test_a_swap_waits_for_a_query_that_takes_its_time(database_url: str) -> None:
    append(database_url, STORY)
    post(database_url)
    reading, read = threading.Event(), threading.Event()

    def read_slowly() -> None:
        with psycopg.connect(database_url) as connection:
            connection.execute("select count(*) from orders_v1")
            reading.set()
            read.wait(20)

    reader = threading.Thread(target=read_slowly)
    reader.start()
    assert reading.wait(10)
    threading.Timer(3, read.set).start()  # longer than lock_timeout
    rebuilt(database_url, orders.PROJECTION)
    assert read.is_set()
    reader.join()
