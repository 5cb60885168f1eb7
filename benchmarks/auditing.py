"""The audit: what the tree costs, how fast it is made and verified, questions and exports."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import psycopg
from rich.console import Console

from benchmarks.appending import append, empty
from benchmarks.asking import questions
from benchmarks.bench import Bench
from benchmarks.findings import Finding, Skipped
from benchmarks.growing import LARGE, LARGEST
from benchmarks.past_lists import measure_pasts
from benchmarks.plain_insert import create as create_plain
from benchmarks.postgres import Postgres, running_postgres
from benchmarks.shop_history import shop_history
from daybook.command_line.audit_export import exported
from daybook.notary import attest
from daybook.settings import Settings
from event_store.connections import connect
from event_store.evidence.growing import grow
from event_store.evidence.heads import origin_of, sign
from event_store.evidence.notes import Signer
from event_store.evidence.verification import Asked, verify
from event_store.history.formats import FORMATS, Format
from event_store.history.postings import BLOCK, index_blocks
from event_store.history.questions import Question

PART = "audit"
SEED = bytes(range(32))
STATEMENT_MS = 600_000
TREE_TARGET = 0.9
VERIFIED_TARGET = 100_000


def measure(bench: Bench) -> Iterator[Finding | Skipped]:
    """Measure the write path beside a notary, then a filled log."""
    with running_postgres(bench.folder / "cluster") as postgres:
        yield beside_a_notary(bench, postgres)
        size = LARGEST if bench.full else LARGE // 10 if bench.quick else LARGE
        bench.say(f"{PART}: filling a log with {size:,} events")
        url = shop_history(postgres, size)
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
        bench.say(f"{PART}: asking")
        yield from asyncio.run(questions(PART, url, size))
        for form in FORMATS:
            yield asyncio.run(export(bench, url, form, size // 10))
        bench.say(f"{PART}: lists as they were")
        yield from measure_pasts(PART, url, size)


def timed(work: Callable[[], int]) -> float:
    """Return how many events a second some work takes."""
    began = time.perf_counter()
    done = work()
    return done / (time.perf_counter() - began)


def rate(what: str, *rates: float, target: float | None = None) -> Finding:
    """Say how fast something is."""
    return Finding(part=PART, what=what, unit="events/s", values=list(rates), target=target)


def indexed(connection: "psycopg.Connection[Any]") -> int:
    """Index all full blocks, bind old ones, and return how many events these are."""
    while index_blocks(connection):
        pass
    row = connection.execute("select blocks from history_index").fetchone()
    return int(row[0]) * BLOCK if row else 0


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
            with keeping(url, bench.folder / "audit") if busy else nullcontext():
                rates.append(append(url, 1, 1, bench.seconds)[0].rate)
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
        connection.execute("truncate log_tiles, log_heads")
        connection.execute("truncate history_postings, history_volumes, history_stretches")
        connection.execute("update log_tree set size = 0")
        connection.execute("update history_index set blocks = 0, volumes = 0")
        connection.execute("update log_head set position = 0")


@contextmanager
def keeping(url: str, folder: Path) -> Iterator[None]:
    """Have a notary at work while the block lasts."""
    stop = threading.Event()
    notary = threading.Thread(target=keep, args=(url, folder, stop))
    notary.start()
    try:
        yield
    finally:
        stop.set()
        notary.join()


def keep(url: str, folder: Path, stop: threading.Event) -> None:
    """Do what a worker's notary does, until told to stop."""
    with connect(url, name="bench notary", statement_ms=STATEMENT_MS) as connection:
        while not stop.wait(1.0):
            attest(connection, (SEED,), folder / str(time.monotonic_ns()))
            while not stop.is_set() and index_blocks(connection):
                pass


async def export(bench: Bench, url: str, form: Format, events: int) -> Finding:
    """Say how fast an export with its proof is written."""
    bench.say(f"{PART}: exporting {form}")
    file = bench.folder / f"export.{form}"
    question_ = Question(positions=(1, events + 1))
    began = time.perf_counter()
    done = await exported(
        Settings(data_dir=bench.folder), url, Console(file=StringIO()), file, form, question_, {}
    )
    return rate(f"export with its proof, {form}", done.events / (time.perf_counter() - began))
