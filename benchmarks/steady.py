"""A steady load on a whole Daybook, and the same at half its rate while a view is rebuilt."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import median, quantiles
from typing import Any

import psycopg

from benchmarks import load
from benchmarks.append_process import order_placed
from benchmarks.bench import Bench, memory_of, wait_until
from benchmarks.delays import orders_of
from benchmarks.findings import Finding, Skipped
from benchmarks.growing import FILL
from benchmarks.load import Answered, Order
from benchmarks.whole_daybook import WholeDaybook, whole_daybook
from event_store.connections import connect
from event_store.event_types import encode
from projections.posting.status import statuses
from projections.rebuilds.jobs import Rebuild, find, start
from projections.switched_on import PROJECTIONS

PART = "steady"
RATE, CONNECTIONS, PAUSE_MS = 500, 128, 235  # a connection asks four times a second
# So long caches fill: of 20,000 streams and as many keys, at 500 new streams a second.
FILLING_SECONDS = 90
P99_MS, LAG_SECONDS, GROWTH, SLOWER, SWAP_MS = 250, 1.0, 1.1, 2.0, 100
REBUILT, VIEW = 100_000, "orders"
SECONDS_BETWEEN_LOOKS = 0.1
# What was filled in is not news: no mails, no integration events of it.
OLD_NEWS = "update reaction_checkpoints set position = %s"


def measure(bench: Bench) -> Iterator[Finding | Skipped]:
    """Measure 500 commands a second, then 250 without and with a rebuild of 100,000 events."""
    if reason := load.missing():
        yield Skipped(PART, "a steady load", reason)
        return
    seconds = 600 if bench.full else 10 if bench.quick else 60
    with whole_daybook(bench.folder / "up") as daybook:
        daybook.start()
        order = orders_of(daybook)
        with connect(database_of(daybook), name="bench") as connection:
            bench.say(f"{PART}: {RATE} commands a second for {seconds} s")
            load.sent(order, CONNECTIONS, 5, PAUSE_MS)  # warm
            cold = memory_of(daybook.folder / "var")
            if not bench.quick:
                load.sent(order, CONNECTIONS, FILLING_SECONDS, PAUSE_MS)
            yield from steady(daybook, order, connection, seconds, cold)
            bench.say(f"{PART}: filling in {REBUILT:,} events")
            fill(database_of(daybook), connection)
            bench.say(f"{PART}: half the rate, without and with a rebuild")
            yield from rebuilding(order, connection)


def database_of(daybook: WholeDaybook) -> str:
    """Return the address of the database that it has started."""
    notice = (daybook.folder / "var" / "run" / "services.json").read_bytes()
    return str(json.loads(notice)["database_url"])


@dataclass
class Watched:
    """What was seen beside a load: seconds that the view furthest behind was late, a look each."""

    lags: list[float] = field(default_factory=list)

    @property
    def p99(self) -> float:
        """What 99 of a hundred looks did not exceed, in seconds."""
        return quantiles(self.lags, n=100)[98]


@contextmanager
def watching(connection: psycopg.Connection[Any]) -> Iterator[Watched]:
    """Look ten times a second how late the views are, while the block lasts."""
    watched, stop = Watched(), threading.Event()

    def look() -> None:
        while not stop.wait(SECONDS_BETWEEN_LOOKS):
            watched.lags.append(max(one.seconds for one in statuses(connection)))

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield watched
    finally:
        stop.set()
        thread.join()


def steady(
    daybook: WholeDaybook,
    order: Order,
    connection: psycopg.Connection[Any],
    seconds: int,
    cold: float,
) -> Iterator[Finding]:
    """Measure the whole rate; `cold` is how much memory there was before caches filled."""
    before = memory_of(daybook.folder / "var")
    with watching(connection) as watched:
        answered = load.sent(order, CONNECTIONS, seconds, PAUSE_MS)
    after = memory_of(daybook.folder / "var")
    notes = {
        "not answered with success": float(answered.refused + answered.broken),
        "p50 ms": answered.p50,
    }
    at = f"{answered.rate:,.0f} commands/s for {seconds} s"
    yield limit(f"p99 of orders at {at}", "ms", answered.p99, P99_MS, notes)
    yield limit("p99 of the latest view's delay meanwhile", "s", watched.p99, LAG_SECONDS)
    grown = {"to that with empty caches": after / cold}
    yield limit("memory after it, to before it", "times", after / before, GROWTH, grown)


def rebuilding(order: Order, connection: psycopg.Connection[Any]) -> Iterator[Finding]:
    """Measure half the rate, alone and beside a rebuild."""
    alone = load.sent(order, CONNECTIONS // 2, 15, PAUSE_MS)
    job = start(connection, PROJECTIONS[VIEW])
    beside: list[Answered] = []
    with watching(connection) as watched:
        while (job := find(connection, job.id)).finished_at is None:
            beside.append(load.sent(order, CONNECTIONS // 2, 3, PAUSE_MS))
    succeeded(job)
    wait_until(lambda: find(connection, job.id).swap_ms is not None, 10, "the swap's time")
    job = find(connection, job.id)
    yield Finding(
        part=PART,
        what=f"p99 of orders at {alone.rate:,.0f} commands/s beside a rebuild",
        unit="ms",
        values=[median(one.p99 for one in beside)],
        against="without it",
        base=[alone.p99],
        target=SLOWER,
        at_most=True,
        notes={
            "not answered with success": float(sum(one.refused + one.broken for one in beside)),
            "rebuilt events/s": job.events_per_second,
            "p99 of the latest view's delay, s": watched.p99,
        },
    )
    yield limit("swapping it in", "ms", job.swap_ms or 0.0, SWAP_MS)


def succeeded(job: Rebuild) -> None:
    """Raise RuntimeError if a rebuild was not finished."""
    if job.state != "done":
        message = f"The rebuild is {job.state}: {job.error}."
        raise RuntimeError(message)


def limit(
    what: str, unit: str, value: float, target: float, notes: dict[str, float] | None = None
) -> Finding:
    """Say what was found, and what it may be at most."""
    return Finding(
        part=PART,
        what=what,
        unit=unit,
        values=[value],
        target=target,
        at_most=True,
        notes=notes or {},
    )


def fill(database_url: str, connection: psycopg.Connection[Any]) -> None:
    """Put old orders into the log, and wait until the views have them."""
    name, schema, data = encode(order_placed())
    with psycopg.connect(database_url) as owner:
        head = owner.execute("select position from log_head for update").fetchone()
        assert head is not None  # noqa: S101 - the migration makes it
        first, last = head[0] + 1, head[0] + REBUILT
        given = {"name": name, "schema": schema, "data": data, "first": first, "last": last}
        owner.execute(FILL, given)
        owner.execute("update log_head set position = %s, recorded_at = now()", [last])
        owner.execute(OLD_NEWS, [last])
    wait_until(lambda: not any(one.events for one in statuses(connection)), 300, "the views")
