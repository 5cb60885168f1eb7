"""Far more orders than can be taken: how soon all are answered, and how soon it is over."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median

import httpx

from benchmarks import load
from benchmarks.bench import Bench
from benchmarks.findings import Finding, Skipped
from benchmarks.load import Answered
from benchmarks.postgres import running_postgres
from benchmarks.shop import Shop, shop

PART = "overload"
STEADY, CROWD = 64, 2_000
LONG_SECONDS = 60.0
ANSWERED_MS, ALIVE_MS = 1_000, 100
RECOVERED, RECOVERY_SECONDS, LONGEST_RECOVERY_SECONDS = 0.9, 10, 60
PROBE_SECONDS = 0.05


def measure(bench: Bench) -> Iterator[Finding | Skipped]:
    """Send a crowd for a while, ask for signs of life meanwhile, and look at what is left after."""
    if reason := load.missing():
        yield Skipped(PART, "orders beyond what can be taken", reason)
        return
    crowded = LONG_SECONDS if bench.full else 3 * bench.seconds
    with (
        running_postgres(bench.folder / "cluster") as postgres,
        shop(bench, postgres, "crowd", noop=False) as place,
    ):
        before: list[Answered] = []
        during: list[Answered] = []
        after: list[float] = []
        alive: list[float] = []
        for _ in range(bench.rounds):
            bench.say(f"{PART}: {CROWD} connections for {crowded:g} s")
            before.append(load.send(place.orders("untracked"), STEADY, bench.seconds))
            with signs_of_life(place) as found:
                during.append(load.crowd(place.orders("untracked"), CROWD, crowded))
            alive.append(max(found))
            after.append(recovery(place, before[-1].rate))
    yield Finding(
        part=PART,
        what=f"{CROWD:,} connections: the slowest hundredth of all answers",
        unit="ms",
        values=[one.p99 for one in during],
        target=ANSWERED_MS,
        at_most=True,
        notes={
            "taken a second": median(one.rate for one in during),
            "refused a second": median(one.refused / one.microseconds * 1e6 for one in during),
            "unanswered": sum(one.broken for one in during),
        },
    )
    yield Finding(
        part=PART,
        what="the slowest answer of /health/live meanwhile",
        unit="ms",
        values=alive,
        target=ALIVE_MS,
        at_most=True,
    )
    yield Finding(
        part=PART,
        what=f"from its end until {STEADY} connections get {RECOVERED:.0%} of what they got before",
        unit="s",
        values=after,
        target=RECOVERY_SECONDS,
        at_most=True,
        notes={"before, commands/s": median(one.rate for one in before)},
    )


def recovery(place: Shop, rate: float) -> float:
    """Return after how many seconds as many orders are taken as before."""
    started = time.perf_counter()
    while (seconds := time.perf_counter() - started) < LONGEST_RECOVERY_SECONDS:
        if load.crowd(place.orders("untracked"), STEADY, 1).rate >= RECOVERED * rate:
            return seconds
    raise TimeoutError(f"It did not recover within {LONGEST_RECOVERY_SECONDS:g} s.")


@contextmanager
def signs_of_life(place: Shop) -> Iterator[list[float]]:
    """Ask whether the server lives, again and again; the list gets the ms of each answer."""
    found: list[float] = []
    ended = threading.Event()

    def ask() -> None:
        url = f"http://127.0.0.1:{place.ports['daybook']}/health/live"
        with httpx.Client(trust_env=False, timeout=30) as client:
            while not ended.wait(PROBE_SECONDS):
                started = time.perf_counter()
                client.get(url).raise_for_status()
                found.append((time.perf_counter() - started) * 1_000)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        yield found
    finally:
        ended.set()
        asking.join()
