"""Reading over HTTP: each read against the same server's no-op, a list against plain SQL."""

import json
import subprocess
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from statistics import median

import httpx
import msgspec

from api.graphql.routes import PATH as GRAPHQL
from benchmarks import load
from benchmarks.bench import Bench, environment, wait_until
from benchmarks.delays import background
from benchmarks.findings import Finding, Skipped
from benchmarks.load import Answered
from benchmarks.noop_app import NOTHING
from benchmarks.plain_app import PATH as PLAIN
from benchmarks.postgres import running_postgres
from benchmarks.shop import Serve, Shop, shop

PART = "reads"
CONNECTIONS = 32
CACHED_TARGET, PLAIN_TARGET = 0.8, 0.9
READERS, READER_PAUSE_MS = 16, 15
SCRIPT = Path(__file__).with_name("read.lua")
PAGE = """{ users(first: 50) { nodes { id name orders(first: 20) { nodes { id status
total { amount currency } } } } } }"""
SERVERS = {
    "table": Serve("benchmarks.noop_app", {"DAYBOOK_CACHE": "off"}),
    "cached": Serve("benchmarks.noop_app"),
    "plain": Serve("benchmarks.plain_app"),
}


class Asked(msgspec.Struct, frozen=True):
    """What is asked in turn, of which server, as whom; `body` None: by GET."""

    url: str
    token: str
    paths: list[str]
    body: str | None = None


def measure(bench: Bench) -> Iterator[Finding | Skipped]:
    """Measure every read in turn with the others, then two of them beside writes."""
    if reason := load.missing():
        yield Skipped(PART, "reading over HTTP", reason)
        return
    with (
        running_postgres(bench.folder / "cluster") as postgres,
        shop(bench, postgres, "read", noop=False, workers=True, others=SERVERS) as opened,
    ):
        reads = prepared(opened, bench)
        bench.say(f"{PART}: {CONNECTIONS} connections")
        results: defaultdict[str, list[Answered]] = defaultdict(list)
        for one in reads.values():
            send(bench, one, 1)
        for _ in range(bench.rounds):
            for name, one in reads.items():
                results[name].append(send(bench, one, bench.seconds))
        yield from findings(results)
        bench.say(f"{PART}: beside writes")
        yield from beside_writes(bench, opened, reads)


def prepared(opened: Shop, bench: Bench) -> dict[str, Asked]:
    """Let there be orders in the views; return what is asked."""
    load.send(opened.orders("spread"), CONNECTIONS, 1 if bench.quick else 4)
    wait_until(lambda: not opened.behind(), 120, "the views")
    bodies = opened.bodies["spread"].read_text(encoding="utf-8").splitlines()
    products = [json.loads(body)["items"][0]["productId"] for body in bodies]
    singles = [f"/api/v1/products/{one}" for one in products]
    headers = {"Authorization": f"Bearer {opened.token}"}
    me = httpx.get(f"{address(opened, 'table')}/api/v1/users/me", headers=headers, trust_env=False)
    user = me.raise_for_status().json()["data"]["id"]

    def asked(server: str, *paths: str, body: str | None = None, staff: bool = False) -> Asked:
        token = opened.staff_token if staff else opened.token
        return Asked(address(opened, server), token, list(paths), body)

    return {
        "noop": asked("table", NOTHING),
        "single": asked("table", *singles),
        "noop cached": asked("cached", NOTHING),
        "cached": asked("cached", *singles),
        "list": asked("table", "/api/v1/orders?limit=20"),
        "stretch": asked("table", "/api/v2/orders?limit=20"),
        "plain": asked("plain", f"{PLAIN}?user={user}"),
        "report": asked("table", "/api/v1/reports/sales?groupBy=day", staff=True),
        "graphql": asked("table", GRAPHQL, body=json.dumps({"query": PAGE}), staff=True),
    }


def address(opened: Shop, server: str) -> str:
    """Return where a server is."""
    return f"http://127.0.0.1:{opened.ports[server]}"


def findings(results: Mapping[str, list[Answered]]) -> Iterator[Finding]:
    """Put each read beside what it is compared with."""
    noop = ("no-op GET", results["noop"])
    yield finding("a product", results["single"], *noop, target=CACHED_TARGET)
    yield finding(
        "a product, cached",
        results["cached"],
        "no-op GET",
        results["noop cached"],
        target=CACHED_TARGET,
    )
    yield finding(
        "a page of 20 orders",
        results["list"],
        "plain Litestar and psycopg",
        results["plain"],
        target=PLAIN_TARGET,
    )
    yield finding("a page of 20 orders", results["list"], *noop)
    yield finding("the same by cursor, not counted", results["stretch"], *noop)
    yield finding("sales by day", results["report"], *noop)
    yield finding("GraphQL: users with 20 orders each", results["graphql"], *noop)


def beside_writes(bench: Bench, opened: Shop, reads: Mapping[str, Asked]) -> Iterator[Finding]:
    """Say how long reads at a steady rate take while about 500 orders a second are placed."""
    kinds = ("single", "cached", "list", "stretch")
    with background(
        opened.orders("spread"), bench.rounds * len(kinds) * (bench.seconds + 5)
    ) as stop:
        answers = {
            name: [
                send(bench, reads[name], bench.seconds, READERS, READER_PAUSE_MS)
                for _ in range(bench.rounds)
            ]
            for name in kinds
        }
        written = stop()
    names = {
        "single": "a product",
        "cached": "a product, cached",
        "list": "a page of 20 orders",
        "stretch": "a page of 20 orders by cursor, not counted",
    }
    for name, answered in answers.items():
        yield Finding(
            part=PART,
            what=f"p99 of {names[name]} beside {written.rate:,.0f} commands/s",
            unit="ms",
            values=[one.p99 for one in answered],
            notes={
                "reads/s": median(one.rate for one in answered),
                "p50 ms": median(one.p50 for one in answered),
            },
        )


def send(
    bench: Bench, asked: Asked, seconds: float, connections: int = CONNECTIONS, pause_ms: int = 0
) -> Answered:
    """Ask as fast as is answered, or with pauses; RuntimeError if any answer was not a success."""
    paths = bench.folder / "paths"
    paths.write_text("\n".join(asked.paths), encoding="utf-8")
    limits = ["-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "--timeout", "10s"]
    done = subprocess.run(
        ["wrk", *limits, "--latency", "-s", str(SCRIPT), asked.url],
        env=environment(
            {"TOKEN": asked.token, "PATHS": str(paths), "PAUSE": str(pause_ms)}
            | ({} if asked.body is None else {"BODY": asked.body})
        ),
        capture_output=True,
        text=True,
        timeout=seconds + 60,
        check=True,
    )
    answered = load.result(done.stdout)
    if answered.refused or answered.broken:
        raise RuntimeError(f"{asked.url}{asked.paths[0]}: not all were answered: {answered}")
    return answered


def finding(
    what: str,
    answers: list[Answered],
    against: str,
    base: list[Answered],
    *,
    target: float | None = None,
) -> Finding:
    """Compare two sides round by round."""
    return Finding(
        part=PART,
        what=f"{what}, {CONNECTIONS} connections",
        unit="reads/s",
        values=[one.rate for one in answers],
        against=against,
        base=[one.rate for one in base],
        target=target,
        notes={
            "p50 ms": median(one.p50 for one in answers),
            "p99 ms": median(one.p99 for one in answers),
        },
    )
