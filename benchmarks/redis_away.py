"""What orders over HTTP take while Redis is frozen, beyond what they take with it."""

import json
import os
import signal
from collections.abc import Iterator
from contextlib import closing, contextmanager
from statistics import median

from redis import Redis

from benchmarks import load
from benchmarks.bench import Bench
from benchmarks.delays import orders_of
from benchmarks.findings import Finding, Skipped
from benchmarks.load import Answered
from benchmarks.whole_daybook import WholeDaybook, whole_daybook

PART = "redis_away"
MORE_MS = 50
# Few, with pauses: what they wait for is Redis, and not each other.
CONNECTIONS, PAUSE_MS = 4, 40


def measure(bench: Bench) -> Iterator[Finding | Skipped]:
    """Measure in turn: with Redis, and while it takes connections and answers nothing."""
    if reason := load.missing():
        yield Skipped(PART, "orders while Redis is frozen", reason)
        return
    seconds = 3 if bench.quick else 15
    with whole_daybook(bench.folder / "up") as daybook:
        daybook.start()
        order = orders_of(daybook)
        load.sent(order, CONNECTIONS, 5, PAUSE_MS)  # warm
        there: list[Answered] = []
        away: list[Answered] = []
        for _ in range(bench.rounds):
            bench.say(f"{PART}: with Redis, and frozen")
            there.append(load.sent(order, CONNECTIONS, seconds, PAUSE_MS))
            with frozen(daybook):
                away.append(load.sent(order, CONNECTIONS, seconds, PAUSE_MS))
    pairs = list(zip(away, there, strict=True))
    yield more("p50", [one.p50 - other.p50 for one, other in pairs], away, there)
    yield more("p99", [one.p99 - other.p99 for one, other in pairs], away, there)


def more(which: str, values: list[float], away: list[Answered], there: list[Answered]) -> Finding:
    """Say by how many milliseconds a percentile of orders is more without Redis, each round."""
    return Finding(
        part=PART,
        what=f"{which} of orders while Redis is frozen, beyond that with it",
        unit="ms",
        values=values,
        target=MORE_MS,
        at_most=True,
        notes={
            "with Redis": median(getattr(one, which) for one in there),
            "not answered with success": float(sum(one.refused + one.broken for one in away)),
        },
    )


@contextmanager
def frozen(daybook: WholeDaybook) -> Iterator[None]:
    """Let Redis answer nothing while the block lasts."""
    notice = json.loads((daybook.folder / "var" / "run" / "services.json").read_bytes())
    with closing(Redis.from_url(notice["redis_url"])) as redis:
        process = int(redis.info("server")["process_id"])
    os.kill(process, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(process, signal.SIGCONT)
