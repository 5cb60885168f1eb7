"""Loading streams of different lengths without anything in memory, and a command on long ones."""

import asyncio
import time
from collections.abc import Iterator
from decimal import Decimal
from uuid import UUID

import psycopg
import uvloop

from benchmarks.bench import Bench
from benchmarks.findings import Finding
from benchmarks.postgres import running_postgres
from commands.aggregates import PRODUCT
from commands.execution import execute
from commands.identifiers import new_id
from commands.passwords import Passwords
from commands.products.adjust_stock import AdjustStock, adjust_stock
from commands.states import EVENTS_WORTH_A_SNAPSHOT
from commands.work import Tools
from daybook.command_line.operator_commands import operator
from domain.money import Money
from domain.product import ProductListed, StockAdjusted
from event_store.privacy.keyring import NO_KEYS
from event_store.records import Append, Audit, StreamChange
from event_store.store import EventStore

PART = "load"
LENGTHS = (10, 1_000, 10_000)
SHORT, LONG = LENGTHS[0], LENGTHS[-1]
BATCH = 1_000
COMMANDS = 200
LOADS = 7
TARGET = 1.5


def measure(bench: Bench) -> Iterator[Finding]:
    """Measure on streams of 10, 1,000 and 10,000 events."""
    with running_postgres(bench.folder / "cluster") as postgres:
        url = postgres.create_log("load")
        yield from uvloop.run(findings(bench, url))


async def findings(bench: Bench, url: str) -> list[Finding]:
    """Make the streams, then measure."""
    streams = await written(url)
    whole = {n: await cold(url, streams[n], snapshots=False) for n in LENGTHS}
    short = {n: await cold(url, streams[n], snapshots=True) for n in LENGTHS}
    found = [loaded(n, "no snapshot", whole[n], whole[SHORT]) for n in LENGTHS]
    found += [
        loaded(n, "with snapshot", short[n], whole[n])
        for n in LENGTHS
        if n >= EVENTS_WORTH_A_SNAPSHOT
    ]
    rounds = [await commanded(url, streams) for _ in range(bench.rounds)]
    found.append(
        Finding(
            part=PART,
            what=f"a command on a stream of {LONG:,} events",
            unit="ms",
            values=[long for long, _ in rounds],
            against=f"on a stream of {SHORT}",
            base=[brief for _, brief in rounds],
            target=TARGET,
            at_most=True,
        )
    )
    return found


def loaded(length: int, how: str, values: list[float], base: list[float]) -> Finding:
    """Say how long a first load takes."""
    against = f"a stream of {SHORT}" if base is not values and "no" in how else "no snapshot"
    return Finding(
        part=PART,
        what=f"first load of {length:,} events, {how}",
        unit="ms",
        values=values,
        against="" if base is values else against,
        base=[] if base is values else base,
        at_most=True,
    )


async def opened(url: str) -> Tools:
    """Return tools that know nothing yet."""
    store = EventStore(url, keys=NO_KEYS, on_append=lambda _: None)
    await store.open()
    return Tools(store, Passwords())


async def closed(tools: Tools) -> None:
    """Let tools go."""
    await tools.store.close()
    tools.passwords.close()


async def written(url: str) -> dict[int, UUID]:
    """Write a product for each length and return them by it."""
    tools, streams = await opened(url), {length: new_id() for length in LENGTHS}
    for length, stream_id in streams.items():
        listed = ProductListed("85123A", "Heart", Money(Decimal("2.55"), "GBP"), 10**6)
        events: list[ProductListed | StockAdjusted] = [listed]
        events += [StockAdjusted(1, "counted") for _ in range(length - 1)]
        for first in range(0, length, BATCH):
            await tools.store.append(
                appended(stream_id, first, tuple(events[first : first + BATCH]))
            )
    await closed(tools)
    return streams


def appended(
    stream_id: UUID, version: int, events: tuple[StockAdjusted | ProductListed, ...]
) -> Append:
    """Return a command that writes events to a product."""
    audit = Audit(
        actor_id="bench", actor_role="system", request_id="r", correlation_id="c", command="Bench"
    )
    return Append(new_id(), audit, (StreamChange(stream_id, "product", version, events),))


async def cold(url: str, stream_id: UUID, *, snapshots: bool) -> list[float]:
    """Return how long a new process's first look at a stream takes, in ms, several times."""
    taken = []
    for _ in range(LOADS):
        if not snapshots:
            forget_snapshots(url)
        tools = await opened(url)
        await tools.states.read(PRODUCT, [new_id()], proven=True)  # connects
        started = time.perf_counter()
        await tools.states.read(PRODUCT, [stream_id], proven=False)
        taken.append((time.perf_counter() - started) * 1_000)
        await snapshot_kept()
        await closed(tools)
    return taken


async def snapshot_kept() -> None:
    """Wait for a snapshot that is being written, so that it is not there only sometimes."""
    writing = [task for task in asyncio.all_tasks() if task.get_name() == "snapshot"]
    await asyncio.gather(*writing)


def forget_snapshots(url: str) -> None:
    """Remove all snapshots."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("delete from snapshots")


async def commanded(url: str, streams: dict[int, UUID]) -> tuple[float, float]:
    """Return how long a command takes on a long and on a short stream, in ms, taken in turn."""
    tools, taken = await opened(url), dict.fromkeys((LONG, SHORT), 0.0)
    for length in taken:
        await adjust(tools, streams[length])
    for number in range(2 * COMMANDS):
        length = (LONG, SHORT)[number % 2]
        started = time.perf_counter()
        await adjust(tools, streams[length])
        taken[length] += time.perf_counter() - started
    await closed(tools)
    return taken[LONG] / COMMANDS * 1_000, taken[SHORT] / COMMANDS * 1_000


async def adjust(tools: Tools, product_id: UUID) -> None:
    """Count one piece in."""
    request = AdjustStock(product_id=product_id, quantity=1, reason="counted")
    await execute(tools, operator(), adjust_stock, request)
