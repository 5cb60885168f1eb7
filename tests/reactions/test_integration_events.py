"""Integration events: what others learn, in which order, and that none is missing or doubled."""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import redis

from domain.product import ProductListed
from event_store.connections import connect
from event_store.event_types import names_of
from reactions.event_stream import KEY, EventStream
from reactions.integration_events import PUBLISHED
from reactions.mail_folder import MailFolder
from reactions.publishing import Publisher
from reactions.reactor import Reactor
from tests.domain.given import ALICE, NOON, ORDER, TEAPOT, pounds
from tests.event_store.given import keyring
from tests.projections.given import STORY, Story, append, append_sealed
from tests.reactions.given import WINDOW, rows, running
from tests.valkey import Valkey, until

DOCUMENT = Path(__file__).parents[2] / "docs" / "integration-events.md"
NAMES = {
    "user.registered", "user.imported", "user.role_changed", "user.closed", "user.forgotten",
    "product.listed", "product.renamed", "product.repriced", "product.stock_adjusted",
    "product.stock_reserved", "product.stock_released", "product.withdrawn",
    "order.placed", "order.imported", "order.paid", "order.shipped", "order.delivered",
    "order.cancelled", "order.refunded",
}  # fmt: skip
PUBLIC = [number for number, (_, event) in enumerate(STORY, 1) if type(event) in PUBLISHED]
STATE = "select position, failure from reaction_checkpoints where name = 'integration_events'"
FORGET = "update reaction_checkpoints set position = %s where name = 'integration_events'"

Publish = Callable[[], int]


@pytest.fixture(scope="module")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    server = Valkey(tmp_path_factory.mktemp("valkey"))
    server.start()
    yield server
    server.stop()
    server.client.close()


@pytest.fixture
def client(valkey: Valkey) -> Iterator[Any]:
    """Give a client of an empty Valkey."""
    with redis.Redis.from_url(valkey.url, decode_responses=True) as found:
        found.flushall()
        yield found


@contextmanager
def publishing(database_url: str, valkey: Valkey, keeps: int = 100_000) -> Iterator[Publish]:
    """Give what publishes all there is, as a worker of its own would."""
    with (
        closing(Publisher(EventStream(valkey.url, keeps))) as publisher,
        connect(database_url, name="test") as connection,
    ):
        yield lambda: publisher.publish(connection)


def products(count: int) -> Story:
    """Return so many new products."""
    return [(uuid4(), ProductListed(uuid4().hex, "Pot", pounds("1"), 1)) for _ in range(count)]


def positions(client: Any) -> list[int]:
    """Return the positions in the stream, in its order."""
    return [int(fields["position"]) for _, fields in client.xrange(KEY)]


def test_what_happens_is_published_in_order_under_its_position(
    database_url: str, valkey: Valkey, client: Any
) -> None:
    append(database_url, STORY)
    with publishing(database_url, valkey) as publish:
        assert publish() == len(STORY)
        assert publish() == 0
    assert positions(client) == PUBLIC
    entries = client.xrange(KEY)
    assert [entry_id for entry_id, _ in entries] == [f"{number}-0" for number in PUBLIC]
    assert dict(entries)["7-0"] | {"data": ""} == {
        "name": "order.placed",
        "version": "1",
        "position": "7",
        "stream": str(ORDER),
        "streamVersion": "1",
        "occurredAt": dict(entries)["7-0"]["occurredAt"],
        "data": "",
    }
    data = json.loads(dict(entries)["7-0"]["data"])
    assert data["userId"] == str(ALICE)
    assert data["placedAt"] == NOON.isoformat().replace("+00:00", "Z")
    assert data["total"] == {"amount": "8.54", "currency": "GBP"}
    assert data["lines"][0] == {
        "productId": str(TEAPOT),
        "sku": "TEA-1",
        "name": "Teapot",
        "quantity": 2,
        "unitPrice": "4.25",
        "amount": "8.50",
        "reserved": True,
    }
    assert rows(database_url, STATE) == [(len(STORY), None)]


def test_nothing_personal_is_published(database_url: str, valkey: Valkey, client: Any) -> None:
    append_sealed(database_url, STORY, ALICE)
    with publishing(database_url, valkey) as publish:
        publish()
    published = " ".join(fields["data"] for _, fields in client.xrange(KEY))
    for personal in ("alice", "imported.invalid", "Customer 1", "hash", "token", "RM1", "R-1",
                     "hello", "broken", "twice", "536365"):  # fmt: skip
        assert personal.lower() not in published.lower(), personal
    assert "Royal Mail" in published


def test_the_document_lists_what_is_published() -> None:
    table = DOCUMENT.read_text().split("| name |")[1].split("\n\n")[0]
    assert set(re.findall(r"`((?:user|product|order)\.\w+)`", table)) == NAMES
    assert set(names_of(PUBLISHED)) == NAMES
    fields = {name for published in PUBLISHED.values() for name in published.fields}
    assert fields == {
        "role", "previous", "sku", "name", "price", "stock", "quantity", "order_id", "user_id",
        "placed_at", "lines", "total", "amount", "carrier",
    }  # fmt: skip


def test_the_document_s_consumer_counts_each_entry_once(
    database_url: str, valkey: Valkey, client: Any
) -> None:
    code = DOCUMENT.read_text().split("<!-- consumer -->")[1].split("```python")[1].split("```")[0]
    consumer: dict[str, Any] = {}
    exec(code, consumer)  # noqa: S102 - the document's own example
    seen: list[str] = []

    def handle(name: str, _version: int, _data: object, _fields: object) -> None:
        seen.append(name)

    append(database_url, STORY[:8])
    with publishing(database_url, valkey) as publish:
        publish()
        last = consumer["consume"](client, "0", handle)
        append(database_url, products(1))
        publish()
    last = consumer["consume"](client, last, handle)
    assert last == "9-0"
    assert len(seen) == len([number for number in PUBLIC if number <= 8]) + 1
    assert consumer["consume"](client, last, handle, wait_ms=1) == last


def test_a_crash_after_publishing_doubles_nothing(
    database_url: str, valkey: Valkey, client: Any
) -> None:
    """What was added and not noted is added again, and Redis has it already."""
    append(database_url, STORY)
    with publishing(database_url, valkey) as publish:
        publish()
    rows(database_url, FORGET, 5)
    with publishing(database_url, valkey) as publish:
        publish()
    assert positions(client) == PUBLIC
    assert rows(database_url, STATE) == [(len(STORY), None)]


@pytest.mark.parametrize("kept", [0, 4])
def test_what_redis_has_lost_is_published_again(
    database_url: str, valkey: Valkey, client: Any, kept: int
) -> None:
    """F31: all of it after FLUSHALL, or its end, as after a restart from an older snapshot."""
    append(database_url, STORY)
    with publishing(database_url, valkey) as publish:
        publish()
        lost = client.xrange(KEY)
        client.delete(KEY)
        for entry_id, fields in lost[:kept]:
            client.xadd(KEY, fields, id=entry_id)
        publish()
    assert client.xrange(KEY) == lost
    assert rows(database_url, STATE) == [(len(STORY), None)]


def test_the_past_before_it_was_switched_on_is_not_published(
    database_url: str, valkey: Valkey, client: Any
) -> None:
    append(database_url, STORY)
    rows(database_url, "update reaction_checkpoints set position = 10, began = 10")
    with publishing(database_url, valkey) as publish:
        publish()
        client.flushall()
        publish()
    assert positions(client) == [number for number in PUBLIC if number > 10]


def test_the_stream_is_trimmed_and_made_again_as_long_as_it_was(
    database_url: str, valkey: Valkey, client: Any
) -> None:
    append(database_url, products(1_500))
    with publishing(database_url, valkey, keeps=1_000) as publish:
        publish()
        assert 1_000 <= client.xlen(KEY) < 1_200  # trimmed by whole nodes of a hundred
        client.flushall()
        publish()
    assert 1_000 <= client.xlen(KEY) < 1_200
    assert positions(client)[-1000:] == list(range(501, 1501))


def test_the_stream_of_another_log_is_not_added_to(
    database_url: str, valkey: Valkey, client: Any
) -> None:
    """As after a restored backup of Postgres: nothing would be accepted, and nobody would know."""
    append(database_url, STORY)
    with publishing(database_url, valkey) as publish:
        publish()
        client.xadd(KEY, {"stream": str(ORDER), "streamVersion": "9"}, id="1000-0")
        publish()
        [(_, failure)] = rows(database_url, STATE)
        assert "belongs to another log" in failure
        client.delete(KEY)
        rows(database_url, "update reaction_checkpoints set retry_at = null")
        publish()
    assert positions(client) == PUBLIC
    assert rows(database_url, STATE) == [(len(STORY), None)]


def test_while_redis_is_away_nothing_is_lost_and_the_reason_is_told(
    database_url: str, tmp_path: Path
) -> None:
    server = Valkey(tmp_path)
    append(database_url, STORY)
    with publishing(database_url, server) as publish:
        assert publish() == 0
        [(position, failure)] = rows(database_url, STATE)
        assert (position, failure[:21]) == (0, "Redis cannot be used:")
        server.start()
        until(lambda: publish() > 0, 10)
        with server.client as client:
            assert client.xlen(KEY) == len(PUBLIC)
    server.stop()
    assert rows(database_url, STATE) == [(len(STORY), None)]


def test_one_that_was_frozen_adds_nothing_behind_the_others(
    database_url: str, valkey: Valkey, client: Any
) -> None:
    """Its batch arrives when another has published that and more."""
    append(database_url, STORY)
    batch = [(number, {"position": str(number), "late": "1"}) for number in PUBLIC[:5]]
    with publishing(database_url, valkey) as publish, closing(EventStream(valkey.url, 9)) as late:
        publish()
        late.add(batch)
    assert positions(client) == PUBLIC
    assert not any("late" in fields for _, fields in client.xrange(KEY))


def test_two_workers_publish_each_event_once_and_in_order(
    database_url: str, valkey: Valkey, client: Any, tmp_path: Path
) -> None:
    def reactor() -> Reactor:
        stream = EventStream(valkey.url, 100_000)
        made = Reactor(
            database_url,
            MailFolder(tmp_path),
            WINDOW,
            keys=keyring(),
            stream=stream,
            on_append=lambda _: None,
        )
        made.open()
        return made

    with (
        closing(reactor()) as one,
        closing(reactor()) as other,
        running(one),
        running(other),
    ):
        for _ in range(11):
            append(database_url, products(4))
            one.wake()
            other.wake()
        until(lambda: len(positions(client)) >= 44, 10)
    assert positions(client) == list(range(1, 45))
