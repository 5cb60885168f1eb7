"""The position of an answer is that of its rows: never one that some of them have not seen."""

import asyncio
import threading
from collections.abc import Sequence

import pytest

from event_store.connections import connect_async
from projections import orders
from projections.listing import Page, Request
from projections.posting import pages as pages_of_the_log
from projections.posting.engine import post_held
from projections.posting.pages import Pages
from projections.reading.queries import list_rows
from tests.projections.given import append, many_orders, post
from tests.projections.test_leases import ORDERS, worker

COUNT = 120
EVERY = Request(filters={}, sort_by="placedAt", descending=True, limit=1_000, offset=0)


async def listed(database_url: str, until: int) -> Sequence[Page]:
    """List all orders again and again, until the view has come so far."""
    connection = await connect_async(database_url, name="test")
    try:
        found = [await list_rows(connection, orders.LISTING, EVERY)]
        while found[-1].position < until:
            found.append(await list_rows(connection, orders.LISTING, EVERY))
        return found
    finally:
        await connection.close()


def test_what_one_worker_posts_is_of_the_moment_that_the_answer_says(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each order is an event, so an answer has as many of them as its position says."""
    monkeypatch.setattr(pages_of_the_log, "PAGE", 1)
    append(database_url, many_orders(COUNT))
    posting = threading.Thread(target=post, args=[database_url, ORDERS])
    posting.start()
    found = asyncio.run(listed(database_url, COUNT))
    posting.join()
    assert all(len(page.rows) == page.total == page.position for page in found)
    assert len({page.position for page in found}) > 2


def test_what_several_workers_post_is_of_that_moment_or_later(database_url: str) -> None:
    append(database_url, many_orders(COUNT))
    with worker(database_url) as (first, one), worker(database_url) as (second, other):
        one.beat(first)
        other.beat(second)
        post_held(first, ORDERS, one, Pages([ORDERS]))
        [ahead] = asyncio.run(listed(database_url, 0))
        assert (ahead.position, 0 < len(ahead.rows) < COUNT) == (0, True)
        post_held(second, ORDERS, other, Pages([ORDERS]))
        [even] = asyncio.run(listed(database_url, 0))
        assert (even.position, len(even.rows)) == (COUNT, COUNT)
