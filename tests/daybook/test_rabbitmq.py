"""Wake-ups over RabbitMQ: as quick as over Redis, and as little harm is done without it."""

import os
import random
import socket
import statistics
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import uuid4

import pika
import psutil
import pytest
from structlog.testing import capture_logs

from daybook.wakeups.message import QUEUE, message_for
from daybook.wakeups.over_rabbitmq import limited, make_broker, why_unusable
from daybook.wakeups.sender import Herald
from projections.switched_on import PROJECTIONS
from tests.conftest import fresh_database
from tests.daybook.test_worker import NOWHERE, heralding, looking, sold, working
from tests.event_store.given import rows
from tests.rabbitmq import Rabbitmq, wait_for


@pytest.fixture(scope="module")
def rabbitmq(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rabbitmq]:
    """Run RabbitMQ for the tests of this file."""
    server = Rabbitmq(tmp_path_factory.mktemp("rabbitmq"))
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="module")
def shop(server_url: str, template_database: str) -> Iterator[str]:
    """Make the database that the tests of this file sell from."""
    with fresh_database(server_url, template_database) as url:
        yield url


def waiting(url: str) -> int:
    """Return how many messages wait in the queue."""
    with closing(pika.BlockingConnection(pika.URLParameters(limited(url)))) as connection:
        found: Any = connection.channel().queue_declare(QUEUE, passive=True)
        return int(found.method.message_count)


def test_messages_do_not_pile_up_while_no_worker_runs(rabbitmq: Rabbitmq) -> None:
    """However many processes tell for however long, and it is enough to wake every view."""
    with heralding(rabbitmq.url) as one, heralding(rabbitmq.url) as other:
        for position in range(100):
            one.tell(position)
            other.tell(position)
            time.sleep(0.01)
    assert len(PROJECTIONS) <= waiting(rabbitmq.url) <= 4 * len(PROJECTIONS)


@pytest.fixture(scope="module")
def worker(
    rabbitmq: Rabbitmq, shop: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Path]:
    """Run a worker; Redis is away, so it is not Redis that carries messages."""
    log = tmp_path_factory.mktemp("worker") / "log"
    with working(shop, NOWHERE, log, rabbitmq.url):
        yield log


def delays(shop: str, herald: Herald) -> list[float]:
    """Sell some things; return after how many seconds each is in the view."""
    found = []
    with looking(shop) as see:
        for _ in range(7):
            [product_id] = sold(shop, str(uuid4()), tell=herald.tell)
            found.append(see(product_id, 10))
            time.sleep(0.05)
    return found


@pytest.mark.usefixtures("worker")
def test_a_wake_up_brings_what_is_new_into_an_idle_view_also_after_the_line_was_cut(
    rabbitmq: Rabbitmq, shop: str
) -> None:
    with heralding(rabbitmq.url) as herald:
        assert statistics.median(delays(shop, herald)) < 0.5
        assert cut(rabbitmq.port) > 0
        assert statistics.median(delays(shop, herald)) < 0.5


@pytest.mark.usefixtures("worker")
def test_doubled_and_shuffled_messages_change_nothing(rabbitmq: Rabbitmq, shop: str) -> None:
    names = [*PROJECTIONS, "a projection of the past"] * 20
    random.Random(1).shuffle(names)  # noqa: S311 - the same order in each run
    broker = make_broker(rabbitmq.url)
    for name in names:
        broker.enqueue(message_for(name))
    broker.close()
    ids = sold(shop, "DOUBLED", "SHUFFLED")
    with looking(shop) as see:
        for product_id in ids:
            see(product_id, 10)
    wait_for(lambda: waiting(rabbitmq.url) == 0)
    versions = "select count(*), min(version), max(version) from products_v1 where id = any(%s)"
    assert rows(shop, versions, ids) == [(2, 1, 1)]


def test_commands_go_on_and_views_follow_when_rabbitmq_is_gone(
    rabbitmq: Rabbitmq, shop: str, worker: Path
) -> None:
    with (
        heralding(rabbitmq.url) as herald,
        looking(shop) as see,
        capture_logs() as warnings,
    ):
        see(sold(shop, "BEFORE", tell=herald.tell)[0], 10)
        rabbitmq.stop()
        for number in range(3):
            began = time.monotonic()
            [product_id] = sold(shop, f"AWAY-{number}", tell=herald.tell)
            assert time.monotonic() - began < 1.5
            assert see(product_id, 10) < 3
        wait_for(lambda: "rabbitmq_down" in {one["event"] for one in warnings})
    assert len([one for one in warnings if one["event"] == "rabbitmq_down"]) == 1
    assert all(line.startswith("{") for line in worker.read_text().splitlines())


def cut(port: int) -> int:
    """Shut this process's lines to a port, as a router might; return how many there were."""
    lines = [one for one in psutil.Process().net_connections("tcp4") if one.raddr[1:] == (port,)]
    for line in lines:
        with socket.socket(fileno=os.dup(line.fd)) as twin:
            twin.shutdown(socket.SHUT_RDWR)
    return len(lines)


def test_an_address_that_cannot_be_used_is_explained() -> None:
    assert why_unusable("amqp://guest:guest@127.0.0.1:1") is not None
    assert limited("amqp://host").startswith("amqp://host/%2F?connection_attempts=1&")
    assert "heartbeat=5" in limited("amqp://host/shop?heartbeat=5")
