"""Postgres is tended to while people append: nobody is refused, and nothing is lost."""

import asyncio
from time import monotonic
from typing import LiteralString

import psycopg
import pytest

from tests.event_store.asynchronous import on_a_loop
from tests.event_store.given import everything
from tests.event_store.outages import Clients, check_order, opened

TENDED = [
    "vacuum (analyze) events",
    "vacuum (freeze) log_head",
    "create index concurrently tended on events (recorded_at)",
    "reindex index concurrently events_pkey",
    "analyze",
]
IN_TIME = 6.0


@pytest.mark.parametrize("act", TENDED)
@on_a_loop
async def test_appends_go_on_while_postgres_is_tended_to(
    database_url: str, act: LiteralString
) -> None:
    async with opened(database_url) as store:
        clients = Clients(store)
        async with clients.at_work(8):
            await clients.first_acknowledgement()
            async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as one:
                began = monotonic()
                while monotonic() - began < 0.5:
                    await one.execute(act)
                    if "concurrently tended" in act:
                        await one.execute("drop index concurrently tended")
            await clients.first_acknowledgement()
    assert clients.unsure == 0
    check_all_is_there(clients, database_url)


@on_a_loop
async def test_who_locks_the_whole_log_is_waited_for_and_no_longer_than_the_deadline(
    database_url: str,
) -> None:
    """`VACUUM FULL`, `CREATE INDEX`: what the operators' guide warns of."""
    async with opened(database_url) as store:
        clients = Clients(store)
        async with clients.at_work(8):
            await clients.first_acknowledgement()
            async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as one:
                await one.execute("create index tended on events (recorded_at)")
                async with one.transaction():
                    await one.execute("lock table events in access exclusive mode")
                    await asyncio.sleep(1)
            await clients.first_acknowledgement()
    check_all_is_there(clients, database_url)


def check_all_is_there(clients: Clients, database_url: str) -> None:
    """Check that all was answered in time, and that the log is what the clients were told."""
    assert clients.slowest < IN_TIME
    log = everything(database_url)
    assert clients.ledger == {event.stream_id: event.position for event in log}
    check_order(log)
