"""The audit: what the tree costs, how fast it is made and verified, questions and exports."""

import asyncio
import random
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from io import StringIO
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import psycopg
from psycopg import AsyncConnection
from rich.console import Console

from benchmarks.appending import append, empty
from benchmarks.bench import Bench
from benchmarks.findings import Finding, Skipped
from benchmarks.growing import LARGE, LARGEST, filled
from benchmarks.plain_insert import create as create_plain
from benchmarks.postgres import Postgres, running_postgres
from daybook.audit_export import exported
from daybook.notary import attest
from daybook.settings import Settings
from event_store.connections import connect, connect_async
from event_store.evidence.growing import grow
from event_store.evidence.heads import origin_of, sign
from event_store.evidence.notes import Signer
from event_store.evidence.verification import Asked, verify
from event_store.history.formats import FORMATS, Format
from event_store.history.postings import BLOCK, index_block
from event_store.history.questions import Question
from event_store.history.search import find

PART = "audit"
SEED = bytes(range(32))
STATEMENT_MS = 600_000
PAGE = 20
ASKED = 100
TREE_TARGET = 0.9
VERIFIED_TARGET = 100_000


def measure(bench: Bench) -> Iterator[Finding | Skipped]:
    """Measure the write path beside a notary, then a filled log."""
    with running_postgres(bench.folder / "cluster") as postgres:
        yield beside_a_notary(bench, postgres)
        size = LARGEST if bench.full else LARGE // 10 if bench.quick else LARGE
        bench.say(f"{PART}: filling a log with {size:,} events")
        url = filled(postgres, size)
        with connect(url, name="bench", statement_ms=STATEMENT_MS) as connection:
            signer = Signer(origin_of(connection), SEED)
            yield rate("the tree grows", timed(lambda: grow(connection)))
            sign(connection, [signer], timedelta(0))
            asked = Asked(trusted=[signer.public])
            rounds = [
                timed(lambda: verify(connection, asked, lambda _now, _end: None).events)
                for _ in range(bench.rounds)
            ]
            yield rate("verifying the whole log", *rounds, target=VERIFIED_TARGET)
            yield rate("the index of history grows", timed(lambda: indexed(connection)))
        yield from asyncio.run(questions(url, size))
        for form in FORMATS:
            yield asyncio.run(export(bench, url, form))


def timed(work: Callable[[], int]) -> float:
    """Return how many events a second some work takes."""
    began = time.perf_counter()
    done = work()
    return done / (time.perf_counter() - began)


def rate(what: str, *rates: float, target: float | None = None) -> Finding:
    """Say how fast something is."""
    return Finding(part=PART, what=what, unit="events/s", values=list(rates), target=target)


def indexed(connection: "psycopg.Connection[Any]") -> int:
    """Index all full blocks and return how many events these are."""
    blocks = 0
    while index_block(connection):
        blocks += 1
    return blocks * BLOCK


def beside_a_notary(bench: Bench, postgres: Postgres) -> Finding:
    """Append with a process's notary at work on the same cores, and without, in turn."""
    bench.say(f"{PART}: appending beside a notary")
    url = postgres.create_log("audit")
    create_plain(url)
    with_one: list[float] = []
    alone: list[float] = []
    for _ in range(bench.rounds):
        for rates, busy in ((alone, False), (with_one, True)):
            empty(url)
            restart(url)
            postgres.settle()
            stop = threading.Event()
            notary = threading.Thread(target=keep, args=(url, bench.folder / "audit", stop))
            if busy:
                notary.start()
            rates.append(append(url, 1, 1, bench.seconds)[0].rate)
            stop.set()
            if busy:
                notary.join()
    return Finding(
        part=PART,
        what="append, the tree and the index growing beside it",
        unit="events/s",
        values=with_one,
        against="the same alone",
        base=alone,
        target=TREE_TARGET,
    )


def restart(url: str) -> None:
    """Begin with an empty log, tree and index."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("truncate log_tiles, log_heads, history_blocks, history_postings")
        connection.execute("update log_tree set size = 0")
        connection.execute("update history_index set blocks = 0")
        connection.execute("update log_head set position = 0")


def keep(url: str, folder: Path, stop: threading.Event) -> None:
    """Do what a worker's notary does, until told to stop."""
    with connect(url, name="bench notary", statement_ms=STATEMENT_MS) as connection:
        while not stop.wait(1.0):
            attest(connection, (SEED,), folder / str(time.monotonic_ns()))
            while not stop.is_set() and index_block(connection):
                pass


async def questions(url: str, size: int) -> list[Finding]:
    """Ask each kind of question for a page."""
    connection = await connect_async(url, name="bench")
    chance = random.Random(1)  # noqa: S311 - to be repeated
    try:
        some = [chance.randint(1, size) for _ in range(ASKED)]
        cursor = await connection.execute(
            "select actor_id, request_id, stream_id from events where position = any(%s)", [some]
        )
        known = await cursor.fetchall()
        kinds: dict[str, Callable[[tuple[Any, ...]], Question]] = {
            "the newest": lambda _: Question(),
            "a stream": lambda row: Question(stream_id=row[2]),
            "an actor": lambda row: Question(facts={"actor_id": row[0]}),
            "a request": lambda row: Question(facts={"request_id": row[1]}),
            "a common name and a value inside": lambda _: Question(
                facts={"name": "order.placed"}, data={"data.lines.sku": "85123A"}
            ),
            "a common name and an actor": lambda row: Question(
                facts={"name": "order.placed", "actor_id": row[0]}, descending=False
            ),
            "a value that is nowhere": lambda row: Question(data={"data.lines.sku": row[1]}),
        }
        return [
            await question(connection, what, [make(row) for row in known])
            for what, make in kinds.items()
        ]
    finally:
        await connection.close()


async def question(connection: AsyncConnection[Any], what: str, asked: list[Question]) -> Finding:
    """Say how long pages of one kind take."""
    taken = []
    for one in asked:
        began = time.perf_counter()
        await find(connection, one, PAGE)
        taken.append((time.perf_counter() - began) * 1_000)
    return Finding(
        part=PART,
        what=f"a page by {what}",
        unit="ms",
        values=[median(taken)],
        notes={"p99": quantiles(taken, n=100)[98]},
        at_most=True,
    )


async def export(bench: Bench, url: str, form: Format) -> Finding:
    """Say how fast an export with its proof is written."""
    bench.say(f"{PART}: exporting {form}")
    file = bench.folder / f"export.{form}"
    question_ = Question(positions=(1, LARGE // 10 + 1))
    began = time.perf_counter()
    done = await exported(
        Settings(data_dir=bench.folder), url, Console(file=StringIO()), file, form, question_, {}
    )
    return rate(f"export with its proof, {form}", done.events / (time.perf_counter() - began))
