"""One writing process of the append measurements: commands that wait for one event store.

`python -m benchmarks.append_process URL EVENTS SECONDS [existing]` says `ready`, begins when it
reads a line, and prints one JSON object.
"""

import asyncio
import random
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

import msgspec
import psycopg
import uvloop

from commands.identifiers import new_id
from domain.money import Money
from domain.order import Line, OrderPlaced
from event_store.privacy.keyring import NO_KEYS
from event_store.records import Append, Audit, StreamChange
from event_store.store import EventStore

WAITING = 128
WARM_UP_SECONDS = 0.3
MOST_EXISTING = 60_000
# Making events is the domain's work, not the log's: so many different ones are made beforehand.
READY_MADE = 1_000

SOME_STREAMS = """
select p.stream_id, (select max(e.version) from events e where e.stream_id = p.stream_id)
  from (select distinct stream_id from events where position = any(%b)) as p
"""


class Appended(msgspec.Struct):
    """What one process has appended; a group is what one call of Postgres took."""

    events: int
    groups: int
    seconds: float

    @property
    def rate(self) -> float:
        """Events a second."""
        return self.events / self.seconds


def order_placed() -> OrderPlaced:
    """Return an ordinary event: an order of one line."""
    price = Decimal("2.55")
    line = Line(new_id(), "85123A", "White hanging heart", 6, price, 6 * price, reserved=True)
    return OrderPlaced(new_id(), datetime.now(UTC), (line,), Money(6 * price, "GBP"))


def command_on(stream_id: UUID, version: int, events: Sequence[OrderPlaced]) -> Append:
    """Return a command that adds events to a stream."""
    audit = Audit(
        actor_id=str(stream_id),
        actor_role="customer",
        request_id=stream_id.hex,
        correlation_id=stream_id.hex,
        command="PlaceOrder",
    )
    change = StreamChange(stream_id, "order", version, tuple(events))
    return Append(new_id(), audit, (change,))


async def run(url: str, events: int, seconds: float, *, existing: bool) -> Appended:
    """Append for some seconds, with so many commands waiting at any time."""
    groups = 0
    made = [order_placed() for _ in range(READY_MADE + events)]

    def count(_position: int) -> None:
        nonlocal groups
        groups += 1

    streams = some_streams(url) if existing else []
    store = EventStore(url, keys=NO_KEYS, on_append=count)
    await store.open()

    async def keep_appending(until: float) -> int:
        done = 0
        while time.perf_counter() < until:
            stream, version = streams.pop() if streams else (new_id(), 0)
            first = done % READY_MADE
            await store.append(command_on(stream, version, made[first : first + events]))
            done += events
        return done

    async def for_seconds(length: float) -> int:
        until = time.perf_counter() + length
        return sum(await asyncio.gather(*(keep_appending(until) for _ in range(WAITING))))

    await for_seconds(WARM_UP_SECONDS)
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    groups, started = 0, time.perf_counter()
    done = await for_seconds(seconds)
    taken = time.perf_counter() - started
    await store.close()
    return Appended(done, groups, taken)


def some_streams(url: str) -> list[tuple[UUID, int]]:
    """Return streams of the log at random, each with its version."""
    with psycopg.connect(url) as connection:
        newest = connection.execute("select position from log_head").fetchone()
        assert newest is not None  # noqa: S101 - the row is always there
        some = random.sample(range(1, newest[0] + 1), min(newest[0], MOST_EXISTING))
        found = connection.execute(SOME_STREAMS, [some]).fetchall()
    random.shuffle(found)
    return [(stream_id, version) for stream_id, version in found]


if __name__ == "__main__":
    given, size, length, *which = sys.argv[1:]
    result = uvloop.run(run(given, int(size), float(length), existing=bool(which)))
    print(msgspec.json.encode(result).decode(), flush=True)
