"""Subscriptions of the eventsourcing package: every event once, in order, whatever happens."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Thread
from time import monotonic, sleep
from uuid import UUID, uuid4

import psycopg
import pytest
from eventsourcing.persistence import Notification, StoredEvent

from event_store.recorders.datastore import Datastore
from event_store.recorders.recorder import LogRecorder
from event_store.recorders.subscription import LogSubscription
from tests.event_store.given import answers_to, appending, noting
from tests.event_store.writing import write

ONE, TWO = (UUID(int=number) for number in (1, 2))
KILL = """
select pg_terminate_backend(pid) from pg_stat_activity
 where application_name = 'daybook recorder' and datname = current_database()
"""


@pytest.fixture
def recorder(database_url: str) -> Iterator[LogRecorder]:
    """Return a recorder of the whole log."""
    datastore = Datastore(database_url)
    yield LogRecorder(datastore)
    datastore.close()


def opened(stream_id: UUID, version: int = 1) -> StoredEvent:
    """Return an event of another program."""
    return StoredEvent(stream_id, version, "shop:Opened", b"{}")


def seen_upto(subscription: LogSubscription, position: int) -> list[int]:
    """Follow a subscription up to a position; return the positions seen."""
    seen = []
    for notification in subscription:
        seen.append(notification.id)
        if notification.id >= position:
            break
    return seen


def test_readers_see_what_many_writers_append_once_and_in_order(
    recorder: LogRecorder, database_url: str
) -> None:
    streams = [uuid4() for _ in range(4)]

    def insert() -> None:
        for _ in range(100):
            recorder.insert_events([opened(uuid4()), opened(uuid4())])

    with ThreadPoolExecutor() as pool, recorder.subscribe() as one, recorder.subscribe(gt=0) as two:
        readers = [pool.submit(list, one), pool.submit(list, two)]
        writers = [pool.submit(insert) for _ in range(3)]
        ledger = pool.submit(write, database_url, 1, streams, 40).result()
        for writer in writers:
            writer.result()
        newest = recorder.max_notification_id()
        assert newest == 600 + len(ledger)
        sleep(0.5)
        one.stop()
        two.stop()
        for reader in readers:
            seen: list[Notification] = reader.result()
            assert [notification.id for notification in seen] == list(range(1, newest + 1))


def test_an_event_does_not_wait_for_the_next_one(recorder: LogRecorder) -> None:
    with recorder.subscribe() as subscription, ThreadPoolExecutor() as pool:
        next_one = pool.submit(next, subscription)
        sleep(0.2)
        began = monotonic()
        recorder.insert_events([opened(ONE)])
        assert next_one.result(timeout=1).id == 1
        assert monotonic() - began < 0.5


def test_stop_ends_a_reader_that_waits(recorder: LogRecorder) -> None:
    subscription = recorder.subscribe()
    reader = Thread(target=list, args=(subscription,))
    reader.start()
    sleep(0.2)
    began = monotonic()
    subscription.stop()
    reader.join(2)
    assert not reader.is_alive()
    assert monotonic() - began < 0.2


def test_a_subscription_begins_after_a_position_that_is_still_to_come(
    recorder: LogRecorder,
) -> None:
    with recorder.subscribe(gt=2) as subscription:
        recorder.insert_events([opened(ONE, version) for version in (1, 2, 3)])
        assert next(subscription).id == 3


def test_a_rare_topic_is_followed_past_everything_else(recorder: LogRecorder) -> None:
    closed = StoredEvent(TWO, 1, "shop:Closed", b"{}")
    with recorder.subscribe(topics=["shop:Closed"]) as subscription:
        recorder.insert_events([*(opened(ONE, version) for version in range(30_000)), closed])
        assert next(subscription).id == 30_001


def test_a_subscription_outlives_its_connections(recorder: LogRecorder, database_url: str) -> None:
    async def append() -> None:
        async with appending(database_url) as appender:
            for _ in range(40):
                await answers_to(appender, [noting(uuid4()) for _ in range(5)])
                await asyncio.sleep(0.05)

    def kill() -> None:
        with psycopg.connect(database_url, autocommit=True) as killer:
            for _ in range(20):
                killer.execute(KILL)
                sleep(0.1)

    with recorder.subscribe() as subscription, ThreadPoolExecutor() as pool:
        reader = pool.submit(seen_upto, subscription, 200)
        pool.submit(kill)
        asyncio.run(append())
        assert reader.result(timeout=20) == list(range(1, 201))


def test_more_than_a_page_of_own_events_is_followed_whole(recorder: LogRecorder) -> None:
    recorder.insert_events(
        [StoredEvent(ONE, version, f"shop:{version % 2}", b"{}") for version in range(2_500)]
    )
    odd = list(range(2, 2_501, 2))
    with recorder.subscribe(topics=["shop:1"]) as subscription:
        assert seen_upto(subscription, 2_500) == odd
    assert [e.id for e in recorder.select_notifications(1, 700, topics=["shop:1"])] == odd[:700]
