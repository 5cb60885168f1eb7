"""Redis loses all that it holds, or is restarted with a full queue: nothing is lost or doubled."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest

from daybook.wakeups.message import message_for
from daybook.wakeups.over_redis import make_broker
from projections.switched_on import PROJECTIONS
from reactions.event_stream import KEY
from tests.commands.given import registered, working_on
from tests.daybook.test_worker import working
from tests.event_store.given import rows
from tests.reactions.post_office import PostOffice
from tests.valkey import Valkey, until

USERS = "select count(*) from users_v2"
QUEUED = 10_000


@pytest.fixture
def valkey(tmp_path: Path) -> Valkey:
    return Valkey(tmp_path)


def test_neither_a_flush_nor_a_restart_with_a_full_queue_loses_or_doubles_anything(
    database_url: str, valkey: Valkey, tmp_path: Path
) -> None:
    """F31 and F32: views, mails (one each) and integration events are as if nothing had been."""
    post_office = PostOffice()
    post_office.open()
    valkey.start()
    try:
        with working(database_url, valkey.url, tmp_path / "log", smtp_url=post_office.url):
            register(database_url, 5)
            until(all_there(database_url, valkey, post_office, 5), 30)
            valkey.client.flushall()
            register(database_url, 5)
            until(all_there(database_url, valkey, post_office, 10), 30)
            fill(valkey)
            valkey.stop()
            register(database_url, 5)
            valkey.start()
            until(all_there(database_url, valkey, post_office, 15), 30)
    finally:
        valkey.stop()
        valkey.client.close()
        post_office.shut()
    assert len(set(post_office.recipients)) == len(post_office.recipients) == 15
    assert rows(database_url, "select count(*) from reaction_failures") == [(0,)]


def fill(valkey: Valkey) -> None:
    """Put far more messages into the queue than ever wait there."""
    broker = make_broker(valkey.url)
    names = list(PROJECTIONS)
    with valkey.client.pipeline(transaction=False) as pipeline:
        for number in range(QUEUED):
            one = message_for(names[number % len(names)])
            one.options["redis_message_id"] = one.message_id
            pipeline.hset("daybook:projections.msgs", one.message_id, one.encode())
            pipeline.rpush("daybook:projections", one.message_id)
        pipeline.execute()
    broker.client.close()


def register(database_url: str, count: int) -> None:
    """Open accounts."""

    async def all_of_them() -> None:
        async with working_on(database_url) as tools:
            for _ in range(count):
                await registered(tools, f"{uuid4().hex}@example.com")

    asyncio.run(all_of_them())


def all_there(
    database_url: str, valkey: Valkey, post_office: PostOffice, count: int
) -> Callable[[], bool]:
    """Return what tells whether so many accounts have a row, one mail, and their event."""

    def told() -> bool:
        time.sleep(0.1)
        return (
            rows(database_url, USERS) == [(count,)]
            and len(post_office.recipients) == count
            and valkey.client.xlen(KEY) == count
        )

    return told
