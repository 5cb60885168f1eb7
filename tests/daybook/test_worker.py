"""Wake-ups and workers: views follow at once with Redis, soon without it, and nothing piles up."""

import asyncio
import json
import os
import random
import signal
import statistics
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg import Connection
from psycopg.rows import TupleRow
from structlog.testing import capture_logs

from commands.passwords import Passwords
from commands.work import Tools
from daybook.processes.programs import WORKER_TIMEOUT, worker_command
from daybook.settings import Settings
from daybook.wakeups.message import message_for
from daybook.wakeups.over_redis import make_broker, mark_of
from daybook.wakeups.sender import Herald
from daybook.worker import STUCK, Poster
from event_store.connections import connect
from event_store.store import EventStore
from projections.posting.leases import Crew
from projections.posting.status import partitions, workers
from projections.projection import PARTITIONS, Projection
from projections.rebuilds.rebuild import find, start
from projections.switched_on import PROJECTIONS
from tests.commands.given import listed
from tests.conftest import fresh_database
from tests.event_store.given import MASTER_KEY, keyring, rows
from tests.projections.test_leases import started
from tests.valkey import Valkey, until

QUEUE, MESSAGES = "daybook:projections", "daybook:projections.msgs"
NOWHERE = "redis://127.0.0.1:1/0"
WORKING = "select worker from projection_workers_alive where cardinality(posts) > 1"


@pytest.fixture
def valkey(tmp_path: Path) -> Iterator[Valkey]:
    """Run a Valkey for one test."""
    server = Valkey(tmp_path)
    server.start()
    yield server
    server.stop()
    server.client.close()


@pytest.fixture(scope="module")
def shop(server_url: str, template_database: str) -> Iterator[str]:
    """Make the one database that the tests of this file sell from, each its own products."""
    with fresh_database(server_url, template_database) as url:
        yield url


@contextmanager
def working(
    database_url: str, redis_url: str, log: Path, broker_url: str = "", smtp_url: str = ""
) -> Iterator[Path]:
    """Run a worker process for the length of a block; give the file that it logs to."""
    environment = {name: value for name, value in os.environ.items() if "DAYBOOK" not in name}
    environment |= {"DAYBOOK_DATABASE_URL": database_url, "DAYBOOK_REDIS_URL": redis_url}
    environment |= {
        "dramatiq_worker_timeout": WORKER_TIMEOUT,
        "DAYBOOK_DATA_DIR": f"{log.parent}/var",
        "DAYBOOK_BROKER_URL": broker_url,
        "DAYBOOK_SMTP_URL": smtp_url,
        "DAYBOOK_MASTER_KEY": MASTER_KEY,
    }
    before = set(rows(database_url, WORKING))
    with (
        log.open("wb") as written,
        subprocess.Popen(worker_command(Settings()), env=environment, stderr=written) as worker,
    ):
        try:
            until(lambda: not before.issuperset(rows(database_url, WORKING)), 60)
            yield log
            assert worker.poll() is None, log.read_text()
        finally:
            worker.terminate()
            code = worker.wait(30)
    assert code == 0, log.read_text()


@pytest.fixture(scope="module")
def worker(shop: str, redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Run the worker that most tests share."""
    with working(shop, redis_url, tmp_path_factory.mktemp("worker") / "log") as log:
        yield log


@contextmanager
def heralding(redis_url: str) -> Iterator[Herald]:
    """Run a herald for the length of a block."""
    herald = Herald(redis_url, PROJECTIONS)
    herald.start()
    try:
        yield herald
    finally:
        herald.close()


async def sell(database_url: str, tell: Callable[[int], None], skus: list[str]) -> list[UUID]:
    """List products one after the other; return their ids."""
    store, passwords = EventStore(database_url, keys=keyring(), on_append=tell), Passwords()
    await store.open()
    try:
        return [await listed(Tools(store, passwords), sku) for sku in skus]
    finally:
        await store.close()
        passwords.close()


def sold(database_url: str, *skus: str, tell: Callable[[int], None] = lambda _: None) -> list[UUID]:
    """List products and return their ids."""
    return asyncio.run(sell(database_url, tell, list(skus)))


def shown(connection: Connection[TupleRow], product_id: UUID) -> bool:
    """Tell whether the view has a product."""
    query = "select from products_v1 where id = %s"
    return connection.execute(query, [product_id]).fetchone() is not None


@contextmanager
def looking(database_url: str) -> Iterator[Callable[[UUID, float], float]]:
    """Give what waits for a product to be in the view."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        yield lambda product_id, seconds: until(lambda: shown(connection, product_id), seconds)


@pytest.mark.usefixtures("worker")
def test_a_wake_up_brings_what_is_new_into_an_idle_view(shop: str, redis_url: str) -> None:
    """Long before the tick would: that comes every second."""
    with heralding(redis_url) as herald, looking(shop) as see:
        delays = []
        for number in range(9):
            [product_id] = sold(shop, f"WOKEN-{number}", tell=herald.tell)
            delays.append(see(product_id, 5))
            time.sleep(0.05)
    assert statistics.median(delays) < 0.3


@pytest.mark.usefixtures("worker")
def test_what_a_lost_message_would_have_told_is_found_by_the_tick(shop: str) -> None:
    with looking(shop) as see:
        for number in range(3):
            [product_id] = sold(shop, f"LOST-{number}")
            assert see(product_id, 5) < 2


def test_doubled_and_shuffled_messages_change_nothing(
    shop: str, redis_url: str, worker: Path
) -> None:
    broker = make_broker(redis_url)
    names = [*PROJECTIONS, "a projection of the past"] * 40
    random.Random(1).shuffle(names)  # noqa: S311 - the same order in each run
    ids = []
    for number in range(0, len(names), 28):
        for name in names[number : number + 28]:
            broker.enqueue(message_for(name))
        ids += sold(shop, f"TWICE-{number}", f"TWICE-{number + 1}")
    with looking(shop) as see:
        for product_id in ids:
            see(product_id, 5)
    until(lambda: broker.client.hlen(MESSAGES) == 0, 5)
    broker.client.close()
    versions = "select count(*), min(version), max(version) from products_v1 where id = any(%s)"
    assert rows(shop, versions, ids) == [(len(ids), 1, 1)]
    assert worker.read_text() == ""


@pytest.mark.usefixtures("worker")
def test_a_worker_carries_out_the_rebuilds_that_it_finds(shop: str) -> None:
    sold(shop, "REBUILT")
    with connect(shop, name="test") as connection:
        job = start(connection, PROJECTIONS["products"])
        until(lambda: find(connection, job.id).finished_at is not None, 30)
        made = find(connection, job.id)
        assert (made.state, made.error) == ("done", None)
        assert made.comparison is not None
        assert made.comparison.equal


def test_commands_go_on_and_views_follow_while_redis_is_away_and_when_it_is_back(
    shop: str, valkey: Valkey, tmp_path: Path
) -> None:
    with (
        working(shop, valkey.url, tmp_path / "log") as log,
        heralding(valkey.url) as herald,
        looking(shop) as see,
        capture_logs() as warnings,
    ):
        see(sold(shop, "BEFORE", tell=herald.tell)[0], 5)
        valkey.stop()
        for number in range(5):
            began = time.monotonic()
            [product_id] = sold(shop, f"AWAY-{number}", tell=herald.tell)
            assert time.monotonic() - began < 1.5
            assert see(product_id, 5) < 2
        assert [one["event"] for one in warnings] == ["redis_down"]
        valkey.start()
        until(lambda: woken(shop, herald, see) < 0.5, 15)
        lines = log.read_text().splitlines()
    # Each part that has lost it says so once: two consumers, the events, mails, a message's end.
    assert 1 <= len(lines) <= 8
    assert all(line.startswith('{"') for line in lines)


def woken(shop: str, herald: Herald, see: Callable[[UUID, float], float]) -> float:
    """Sell one more product, at an uneven moment; return the delay of the view."""
    time.sleep(random.uniform(0, 0.3))  # noqa: S311 - not in step with the tick
    return see(sold(shop, f"BACK-{uuid4()}", tell=herald.tell)[0], 5)


def test_a_worker_starts_without_redis(shop: str, tmp_path: Path) -> None:
    with (
        working(shop, NOWHERE, tmp_path / "log") as log,
        heralding(NOWHERE) as herald,
        looking(shop) as see,
        capture_logs() as warnings,
    ):
        for number in range(3):
            [product_id] = sold(shop, f"WITHOUT-{number}", tell=herald.tell)
            assert see(product_id, 5) < 2
        until(lambda: bool(warnings), 5)
        assert [one["event"] for one in warnings] == ["redis_down"]
        assert len(log.read_text().splitlines()) <= 4


def test_a_worker_that_is_told_to_stop_finishes_and_gives_back_what_it_holds(
    database_url: str, valkey: Valkey, tmp_path: Path
) -> None:
    """Under load: or its colleagues would take it for one that died of an event (F3)."""
    selling = threading.Event()
    selling.set()

    def sell_on() -> None:
        while selling.is_set():
            sold(database_url, *(uuid4().hex for _ in range(50)), tell=herald.tell)

    load = threading.Thread(target=sell_on)
    with looking(database_url) as see, heralding(valkey.url) as herald:
        with working(database_url, valkey.url, tmp_path / "log"):
            load.start()
            see(sold(database_url, "UNDER-LOAD", tell=herald.tell)[0], 5)
            stopped_at = time.monotonic()
        seconds = time.monotonic() - stopped_at
        selling.clear()
        load.join()
    assert seconds < 10
    # Whatever it had been given and not dealt with is back in the queue, for anybody.
    assert valkey.client.keys("daybook:__acks__.*") == []
    with connect(database_url, name="test") as connection:
        found = partitions(connection)
        assert workers(connection) == []
        assert {(one.holder, one.crashes) for one in found} == {(None, 0)}
        assert any(one.events for one in found)
        crew = Crew(PROJECTIONS.values())
        crew.beat(connection)
        assert {one.crashes for one in partitions(connection)} == {0}
        crew.leave(connection)


# A worker that hears only of messages, soon has those of the dead, and may be killed right after a
# commit: before dramatiq hears that the message is dealt with.
MESSENGER = """
    import os, signal, sys, time
    import dramatiq
    from daybook import worker
    from daybook.services import Services
    from projections.posting.engine import post_held
    from tests.event_store.given import keyring

    def post(*given):
        come = post_held(*given)
        if sys.argv[3] == "dies" and come:
            os.kill(os.getpid(), signal.SIGKILL)
        return come

    worker.tick = lambda _: None
    worker.run_worker(Services(sys.argv[1], sys.argv[2], keyring()), lambda: None, post)
    broker = dramatiq.get_broker()
    broker.maintenance_chance, broker.heartbeat_timeout = 1_000_000, 1_000
    dramatiq.Worker(broker, worker_threads=1).start()
    time.sleep(60)
"""


def test_a_message_of_a_worker_that_was_killed_after_its_commit_changes_nothing(
    database_url: str, valkey: Valkey
) -> None:
    """F2: it is delivered once more, does nothing, says so once, and is no dead letter."""
    [product_id] = sold(database_url, "COMMITTED")
    make_broker(valkey.url).enqueue(message_for("products"))
    everything = "select version, stock from products_v1 where id = %s"
    with started(MESSENGER, database_url, valkey.url, "dies") as dying:
        assert dying.wait(60) == -signal.SIGKILL
    assert rows(database_url, everything, product_id) == [(1, 10)]
    assert valkey.client.hlen(MESSAGES) == 1
    with started(MESSENGER, database_url, valkey.url, "lives") as again:
        until(lambda: valkey.client.hlen(MESSAGES) == 0, 30)
        again.kill()
        said = again.communicate()[0].decode()
    assert said.count("already_applied") == 1
    assert rows(database_url, everything, product_id) == [(1, 10)]
    assert not valkey.client.keys("*XQ*")
    assert rows(database_url, "select count(*) from projection_failures") == [(0,)]


def test_a_third_of_the_messages_dropped_and_the_rest_told_ten_times_is_soon_made_up_for(
    shop: str, redis_url: str, worker: Path
) -> None:
    chance, before = random.Random(6), worker.read_text()  # noqa: S311 - the same in each run
    broker = make_broker(redis_url)
    lost = 0

    def tell(_: int) -> None:
        nonlocal lost
        names = [*PROJECTIONS] * 10
        chance.shuffle(names)
        dropped = {name for name in PROJECTIONS if chance.random() < 0.3}
        lost += len(dropped)
        for name in names:
            if name not in dropped:
                broker.enqueue(message_for(name))

    with looking(shop) as see:
        ids = sold(shop, *(f"DROPPED-{number}" for number in range(20)), tell=tell)
        for product_id in ids:
            assert see(product_id, 5) < 2
    broker.client.close()
    assert lost > 20
    versions = "select count(*), min(version), max(version) from products_v1 where id = any(%s)"
    assert rows(shop, versions, ids) == [(len(ids), 1, 1)]
    assert worker.read_text() == before


def test_telling_never_waits_for_redis(shop: str, valkey: Valkey) -> None:
    """Frozen, it takes connections and answers nothing: the worst that it can do."""
    with capture_logs(), heralding(valkey.url) as herald:
        sold(shop, "THAWED", tell=herald.tell)
        valkey.send(signal.SIGSTOP)
        times = []
        for position in range(2_000):
            began = time.perf_counter()
            herald.tell(position)
            times.append(time.perf_counter() - began)
            if position % 100 == 0:
                time.sleep(0.005)  # so that the herald's thread is in the middle of it
        assert statistics.median(times) < 50e-6
        assert statistics.quantiles(times, n=100)[-1] < 5e-3
        began = time.monotonic()
        sold(shop, *(f"FROZEN-{number}" for number in range(20)), tell=herald.tell)
        assert time.monotonic() - began < 2
        began = time.monotonic()
        herald.close()
        assert time.monotonic() - began < 3
        valkey.send(signal.SIGCONT)


def test_the_last_news_are_sent_before_it_is_closed(valkey: Valkey) -> None:
    for _ in range(20):
        valkey.client.flushall()
        with heralding(valkey.url) as herald:
            herald.tell(1)
        assert valkey.client.llen(QUEUE) == len(PROJECTIONS)


def test_a_mark_without_its_message_is_gone_in_half_a_second(valkey: Valkey) -> None:
    """A process that dies between the two leaves one; nothing is sent for so long."""
    with heralding(valkey.url) as herald:
        for name in PROJECTIONS:
            valkey.client.set(mark_of(name), 1, nx=True, px=500)
        herald.tell(1)
        time.sleep(0.1)
        assert valkey.client.llen(QUEUE) == 0
        time.sleep(0.5)
        herald.tell(2)
        until(lambda: valkey.client.llen(QUEUE) == len(PROJECTIONS), 2)
        assert all(0 < valkey.client.pttl(mark_of(name)) <= 500 for name in PROJECTIONS)


def test_messages_do_not_pile_up_while_no_worker_runs(valkey: Valkey) -> None:
    """However many processes tell for however long, and it is enough to wake every view."""
    with heralding(valkey.url) as one, heralding(valkey.url) as other:
        for position in range(250):
            one.tell(position)
            other.tell(position)
            time.sleep(0.01)
    waiting = valkey.client.llen(QUEUE)
    assert valkey.client.hlen(MESSAGES) == waiting
    assert len(PROJECTIONS) <= waiting <= 3 * len(PROJECTIONS)
    messages = valkey.client.hvals(MESSAGES)
    assert {json.loads(message)["args"][0] for message in messages} == set(PROJECTIONS)


def test_a_worker_outlives_a_view_that_it_cannot_post(database_url: str) -> None:
    """Whatever is the matter with one view, the others go on, and it does when that is mended."""
    rename = "update projection_checkpoints set name = %s where name = %s returning name"
    sold(database_url, "OUTLIVES")
    with closing(Poster(database_url)) as poster, capture_logs() as logged:
        rows(database_url, rename, "hidden", "orders")
        for projection in [*PROJECTIONS.values(), PROJECTIONS["orders"]]:
            poster.post(projection)
    assert [(one["event"], one["projection"]) for one in logged] == [("posting_failed", "orders")]
    behind = """
        select distinct c.name from log_head h, projection_checkpoints c
         where c.position < h.position
    """
    assert rows(database_url, behind) == [("hidden",)]
    rows(database_url, rename, "orders", "hidden")
    with closing(Poster(database_url)) as mended:
        mended.post(PROJECTIONS["orders"])
    assert rows(database_url, behind) == []


def test_a_worker_outlives_postgres_and_says_so_once(database_url: str) -> None:
    end = "select pg_terminate_backend(pid, 30000) from pg_stat_activity"
    end += " where datname = current_database() and application_name = any(%s)"
    with closing(Poster(database_url)) as poster, capture_logs() as logged:
        for number in range(4):
            poster.post(PROJECTIONS["products"])
            ended = rows(database_url, end, ["daybook worker", "daybook heart"])
            assert set(ended) == {(True,)}
            sold(database_url, f"AFTER-{number}")
            poster.post(PROJECTIONS["products"])  # finds its connection closed
        poster.post(PROJECTIONS["products"])
    assert [one["event"] for one in logged] == ["postgres_away"]
    assert rows(database_url, "select count(*) from products_v1") == [(4,)]


def test_a_worker_that_finds_no_postgres_says_so_once() -> None:
    away = Poster("postgresql://127.0.0.1:1/nowhere")
    with capture_logs() as logged:
        for projection in PROJECTIONS.values():
            away.post(projection)
    assert [one["event"] for one in logged] == ["postgres_away"]


def test_a_posting_that_fails_is_not_taken_for_its_worker_s_death(database_url: str) -> None:
    """The connection that it had is gone, and the worker is not."""
    sold(database_url, "FAILS")

    def fails(*_: object) -> int:
        raise ValueError("whatever it is")

    with closing(Poster(database_url, post_pages=fails)) as poster, capture_logs() as logged:
        poster.beat()
        poster.post(PROJECTIONS["products"])
        assert [one["event"] for one in logged] == ["posting_failed"]
        with connect(database_url, name="test") as connection:
            other = Crew(PROJECTIONS.values())
            other.beat(connection)
            assert other.leases(PROJECTIONS["products"]) == []
            assert {one.crashes for one in partitions(connection)} == {0}
            other.leave(connection)


def test_a_worker_is_stuck_when_a_posting_does_not_get_on_and_not_when_it_takes_long(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("daybook.worker.STUCK_SECONDS", 0.3)
    gets_on, ends = threading.Event(), threading.Event()
    gets_on.set()

    def long(
        connection: Connection[TupleRow], projection: Projection, crew: Crew, _: object
    ) -> int:
        while not ends.wait(0.01):
            if gets_on.is_set():
                crew.went_on(connection, projection.name)
        return 0

    def posts() -> None:
        with closing(poster):
            poster.post(PROJECTIONS["orders"])

    with closing(Poster(database_url, post_pages=long)) as poster:
        poster.beat()
        thread = threading.Thread(target=posts)
        thread.start()
        try:
            for _ in range(8):
                time.sleep(0.1)
                assert poster.stuck() == []
            gets_on.clear()
            until(lambda: poster.stuck() == ["orders"], 5)
        finally:
            ends.set()
            thread.join()
        assert poster.stuck() == []


# A worker whose fold has no end.
ENDLESS = """
    import sys, threading, time
    from dataclasses import replace
    from daybook import worker
    from projections import products

    worker.STUCK_SECONDS = 0.5
    poster = worker.Poster(sys.argv[1])
    poster.beat()
    threading.Thread(target=worker.heart, args=[poster], daemon=True).start()
    poster.post(replace(products.PROJECTION, fold=lambda *_: time.sleep(600)))
"""


def test_a_worker_that_is_stuck_ends_and_that_counts_as_a_death(database_url: str) -> None:
    sold(database_url, "ENDLESS")
    with started(ENDLESS, database_url) as stuck:
        assert stuck.wait(30) == STUCK
    with connect(database_url, name="test") as connection:
        crew = Crew(PROJECTIONS.values())
        crew.beat(connection)
        assert len(crew.leases(PROJECTIONS["products"])) == PARTITIONS
        assert {one.crashes for one in partitions(connection, "products")} == {1}
        crew.leave(connection)
