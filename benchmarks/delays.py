"""How long after the answer to a command the view shows it, over HTTP."""

import http.client
import json
import random
import subprocess
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median, quantiles

import httpx

from benchmarks import load
from benchmarks.bench import Bench
from benchmarks.findings import Finding, Skipped
from benchmarks.load import Answered, Order
from benchmarks.whole_daybook import WholeDaybook, whole_daybook

PART = "delay"
TARGET_MS = 50
LOADED_MS, LOADED_P99_MS = 20, 100
LONGEST_SECONDS = 20.0
RATE, CONNECTIONS, PAUSE_MS = 500, 16, 30


def measure(bench: Bench) -> Iterator[Finding | Skipped]:
    """Measure on an idle system, then under a load of about 500 commands a second."""
    with whole_daybook(bench.folder / "up") as daybook:
        daybook.start()
        order = orders_of(daybook)
        bench.say(f"{PART}: idle")
        rounds = [sampled(daybook, order, bench) for _ in range(bench.rounds)]
        yield finding("an order in its view, on an idle system", rounds, target=TARGET_MS)
        if reason := load.missing():
            yield Skipped(PART, "the delay under load", reason)
            return
        bench.say(f"{PART}: under load")
        with background(order, bench.rounds * (bench.seconds + 30)) as stop:
            rounds = [sampled(daybook, order, bench) for _ in range(bench.rounds)]
            answered = stop()
        under_load = f"the same at {answered.rate:,.0f} commands/s"
        yield finding(under_load, rounds, target=LOADED_MS)
        yield Finding(
            part=PART,
            what=f"{under_load}, the slowest hundredth",
            unit="ms",
            values=[percentile_99(one) for one in rounds],
            target=LOADED_P99_MS,
            at_most=True,
        )


def orders_of(daybook: WholeDaybook) -> Order:
    """Offer a product and return orders of it, by the administrator."""
    with daybook.client() as client:
        token = client.headers["Authorization"].removeprefix("Bearer ")
        product = listed(client)
    bodies = load.write_bodies(daybook.folder / "bodies", [product])
    return Order(f"http://127.0.0.1:{daybook.port}/api/v1/orders", token, bodies)


def listed(client: httpx.Client) -> str:
    """Offer a product and return its id."""
    price = {"amount": "2.55", "currency": "GBP"}
    product = {"sku": "85123A", "name": "Heart", "price": price, "stock": None}
    answer = client.post("/products", json=product).raise_for_status()
    return str(answer.json()["data"]["id"])


def sampled(daybook: WholeDaybook, order: Order, bench: Bench) -> list[float]:
    """Return the delays of some orders in ms, a while apart."""
    connection = http.client.HTTPConnection("127.0.0.1", daybook.port, timeout=10)
    body = order.bodies.read_text(encoding="utf-8")
    delays = []
    for _ in range(20 if bench.quick else 60):
        time.sleep(random.uniform(0.02, 0.08))  # noqa: S311 - so that no beat is kept
        delays.append(delay(connection, order.token, body))
    connection.close()
    return delays


def delay(connection: http.client.HTTPConnection, token: str, body: str) -> float:
    """Place an order and ask for it until it is there; return the ms from answer to answer."""
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    key = {"Idempotency-Key": uuid.uuid4().hex}
    connection.request("POST", "/api/v1/orders", body, {**headers, **key})
    answer = connection.getresponse()
    placed = json.loads(answer.read())
    answered = time.perf_counter()
    path = f"/api/v1/orders/{placed['data']['id']}"
    while time.perf_counter() - answered < LONGEST_SECONDS:
        connection.request("GET", path, headers=headers)
        seen = connection.getresponse()
        seen.read()
        if seen.status == 200:
            return (time.perf_counter() - answered) * 1_000
    raise TimeoutError(f"An order was not to be seen within {LONGEST_SECONDS:g} s.")


@contextmanager
def background(order: Order, seconds: float) -> Iterator["Stop"]:
    """Send about 500 orders a second while the block lasts."""
    process = subprocess.Popen(
        load.command(order, CONNECTIONS, seconds),
        env=load.variables(order, PAUSE_MS),
        stdout=subprocess.PIPE,
        text=True,
    )
    time.sleep(1)
    try:
        yield Stop(process)
    finally:
        process.kill()
        process.wait()


class Stop:
    """Ends a load and says what came of it."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def __call__(self) -> Answered:
        """End it: wrk prints its result when it is interrupted."""
        self._process.send_signal(2)
        return load.result(self._process.communicate(timeout=30)[0])


def finding(what: str, rounds: list[list[float]], target: float | None = None) -> Finding:
    """Say the median of each round, and the percentiles of all."""
    everything = [value for one in rounds for value in one]
    return Finding(
        part=PART,
        what=what,
        unit="ms",
        values=[median(one) for one in rounds],
        target=target,
        at_most=True,
        notes={"p50 ms": median(everything), "p99 ms": percentile_99(everything)},
    )


def percentile_99(values: list[float]) -> float:
    """Return what 99 of a hundred are not above."""
    return quantiles(values, n=100)[98]
