"""A crowd that signs in at once: what it takes of memory, and how long others wait meanwhile."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from statistics import quantiles
from typing import NamedTuple

import httpx

from benchmarks.bench import Bench, memory_of
from benchmarks.findings import Finding, Skipped
from benchmarks.postgres import running_postgres
from benchmarks.shop import Shop, shop

PART = "logins"
CROWD = 100
OTHERS_MS, MEMORY_MIB = 500, 100
PAUSE_SECONDS = 0.005


def measure(bench: Bench) -> Iterator[Finding | Skipped]:
    """Let a hundred sign in at once, some rightly, and ask for products meanwhile."""
    seconds: list[float] = []
    slowest: list[float] = []
    grown: list[float] = []
    with (
        running_postgres(bench.folder / "cluster") as postgres,
        shop(bench, postgres, "logins", noop=False) as place,
    ):
        for _ in range(bench.rounds):
            bench.say(f"{PART}: {CROWD} at once")
            before = memory_of(bench.folder / "logins")
            with others(place) as watched:
                began = time.perf_counter()
                answered = crowd(place)
                seconds.append(time.perf_counter() - began)
            slowest.append(quantiles(watched.waits, n=100)[98])
            grown.append((max(watched.held) - before) / (1 << 20))
    yield Finding(
        part=PART,
        what=f"p99 of a product while {CROWD} sign in at once",
        unit="ms",
        values=slowest,
        target=OTHERS_MS,
        at_most=True,
        notes={
            "signed in after s": max(seconds),
            "told to come again": float(answered.count(httpx.codes.SERVICE_UNAVAILABLE)),
        },
    )
    yield Finding(
        part=PART,
        what="memory that they take at most",
        unit="MiB",
        values=[max(grown)],
        target=MEMORY_MIB,
        at_most=True,
    )


def crowd(place: Shop) -> list[int]:
    """Let everybody try to sign in with an account that there is not; return the statuses."""
    url = f"http://127.0.0.1:{place.ports['daybook']}/api/v1/auth/login"
    with (
        httpx.Client(
            trust_env=False, timeout=60, limits=httpx.Limits(max_connections=CROWD)
        ) as client,
        ThreadPoolExecutor(CROWD) as pool,
    ):

        def sign_in(number: int) -> int:
            who = {"email": f"nobody-{number}@daybook.example", "password": "wrong password"}
            return client.post(url, json=who).status_code

        return list(pool.map(sign_in, range(CROWD)))


class Watched(NamedTuple):
    """How long each answer took, in ms, and what Daybook held meanwhile, in bytes."""

    waits: list[float]
    held: list[int]


@contextmanager
def others(place: Shop) -> Iterator[Watched]:
    """Ask for products until the block ends."""
    url = f"http://127.0.0.1:{place.ports['daybook']}/api/v1/products?limit=1"
    watched, ended = Watched([], []), threading.Event()

    def ask() -> None:
        with httpx.Client(trust_env=False, timeout=30) as client:
            while not ended.wait(PAUSE_SECONDS):
                began = time.perf_counter()
                client.get(url).raise_for_status()
                watched.waits.append((time.perf_counter() - began) * 1_000)
                watched.held.append(memory_of(place.bodies["hot"].parent))

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        yield watched
    finally:
        ended.set()
        asking.join()
