"""Placing an order over HTTP, against the same server's no-op with all but the command."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from statistics import median

from benchmarks import load
from benchmarks.bench import Bench, wait_until
from benchmarks.findings import Finding, Skipped
from benchmarks.load import Answered, Order
from benchmarks.postgres import running_postgres
from benchmarks.shop import Shop, shop

PART = "orders"
CONNECTIONS = (1, 8, 32, 128)
TARGETS = {32: 0.7, 128: 0.85}
HOT_TARGET = 0.4
CATCH_UP_SECONDS = 60
KINDS = {
    "untracked": "one item, stock not tracked",
    "spread": "tracked stock, 1,000 products",
    "hot": "tracked stock, one product",
}
NOTHING = "no-op POST"

Sides = dict[str, Callable[[], Order]]
Results = dict[tuple[str, int], list[Answered]]


def measure(bench: Bench) -> Iterator[Finding | Skipped]:
    """Measure each kind of order at each number of connections, all in turn."""
    if reason := load.missing():
        yield Skipped(PART, "placing an order over HTTP", reason)
        return
    with (
        running_postgres(bench.folder / "cluster") as postgres,
        shop(bench, postgres, "alone", noop=True) as alone,
    ):
        results = in_turn(bench, sides_of(alone), (8, 128) if bench.quick else CONNECTIONS)
        yield from findings(results)
        with shop(bench, postgres, "posted", noop=False, workers=True) as posted:
            yield with_workers(bench, alone, posted)


def sides_of(shop: Shop) -> Sides:
    """Return what is sent in turn."""
    return {
        "noop": shop.nothing,
        "untracked": lambda: shop.orders("untracked"),
        "spread": lambda: shop.orders("spread"),
        "hot": lambda: shop.orders("hot"),
    }


def in_turn(bench: Bench, sides: Sides, connections: tuple[int, ...], part: str = PART) -> Results:
    """Send A B A B, so that what else the machine does falls on all sides alike."""
    results: Results = defaultdict(list)
    for side in sides.values():
        load.send(side(), 32, 1)
    for count in connections:
        bench.say(f"{part}: {count} connections")
        for _ in range(bench.rounds):
            for name, side in sides.items():
                results[name, count].append(load.send(side(), count, bench.seconds))
    return results


def findings(results: Results) -> Iterator[Finding]:
    """Put each kind beside the no-op, and the hot product beside many."""
    for (name, count), answers in results.items():
        if name != "noop":
            yield finding(
                f"{KINDS[name]}, {connections(count)}",
                answers,
                against=NOTHING,
                base=results["noop", count],
                target=TARGETS.get(count) if name == "untracked" else None,
            )
    for (name, count), answers in results.items():
        if name == "hot" and count > 1:
            yield finding(
                f"{KINDS[name]}, {connections(count)}",
                answers,
                against=KINDS["spread"],
                base=results["spread", count],
                target=HOT_TARGET,
            )


def with_workers(bench: Bench, alone: Shop, posted: Shop) -> Finding:
    """Say what is left of the rate while the workers post the views on the same cores."""

    def caught_up() -> Order:
        wait_until(lambda: not posted.behind(), CATCH_UP_SECONDS, "the views")
        return alone.orders("untracked")

    sides = {"alone": caught_up, "posted": lambda: posted.orders("untracked")}
    results = in_turn(bench, sides, (32,))
    return finding(
        f"{KINDS['untracked']}, {connections(32)}, workers posting",
        results["posted", 32],
        against="the same without workers",
        base=results["alone", 32],
    )


def finding(  # noqa: PLR0913 - what is compared with what, each by its name
    what: str,
    answers: list[Answered],
    *,
    against: str,
    base: list[Answered],
    target: float | None = None,
    part: str = PART,
) -> Finding:
    """Compare two sides round by round."""
    return Finding(
        part=part,
        what=what,
        unit="commands/s",
        values=[answered.rate for answered in answers],
        against=against,
        base=[answered.rate for answered in base],
        target=target,
        notes={
            "p50 ms": median(answered.p50 for answered in answers),
            "p99 ms": median(answered.p99 for answered in answers),
        },
    )


def connections(count: int) -> str:
    """Write a number of connections."""
    return "1 connection" if count == 1 else f"{count} connections"
