"""Views posted and rebuilt, against SQL that does the same and against one event a transaction."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext

import psycopg

from benchmarks import growing
from benchmarks.append_process import order_placed
from benchmarks.bench import Bench, environment, wait_until
from benchmarks.findings import Finding, Skipped
from benchmarks.plain_views import PLAIN
from benchmarks.postgres import Postgres, running_postgres
from event_store.connections import connect
from event_store.event_types import encode
from projections.posting import pages
from projections.posting.engine import catch_up
from projections.rebuilds.rebuild import cancel, find, start
from projections.switched_on import PROJECTIONS

PART = "projecting"
LIVE, REBUILT = 40_000, 1_000_000
ONE_BY_ONE = 1_500
LIVE_TARGET, REBUILD_TARGET, ONE_BY_ONE_TARGET, BESIDE_TARGET = 0.6, 1.5, 100, 2 / 3
BESIDE, REBUILT_BESIDE = "sales_by_day", "orders"

# A thousand days and four thousand customers, so that the sums have rows; no two orders at the same
# moment, or Postgres would remember what it made of an order's lines (Memoize), as it never could.
VARIED = """jsonb_set(jsonb_set(%(data)s::text::jsonb,
    '{placed_at}', to_jsonb('2024-01-01'::timestamptz + mod(n, 1000) * interval '1 day'
                            + n * interval '1 microsecond')),
    '{user_id}', to_jsonb(md5(mod(n, 4000)::text)::uuid))"""


def measure(bench: Bench) -> Iterator[Finding | Skipped]:
    """Measure each view that can be said in one statement: live, then rebuilt."""
    with running_postgres(bench.folder / "cluster") as postgres:
        bench.say(f"{PART}: filling the logs")
        live = filled(postgres, "live", LIVE // 4 if bench.quick else LIVE)
        for name in PLAIN:
            for workers in (1, 2):
                bench.say(f"{PART}: {name}, {workers} workers")
                yield posting(bench, live, name, workers)
        size = REBUILT // 10 if bench.quick else REBUILT
        large = filled(postgres, "large", size)
        for name in PLAIN:
            bench.say(f"{PART}: rebuilding {name}")
            yield from rebuilding(large, name, size)
        bench.say(f"{PART}: posting {BESIDE} beside a rebuild of {REBUILT_BESIDE}")
        yield beside_a_rebuild(bench, large)


def filled(postgres: Postgres, database: str, size: int) -> str:
    """Make a log of so many orders, and the tables that plain SQL fills."""
    url = postgres.create_log(database)
    name, schema, data = encode(order_placed())
    given = {"name": name, "schema": schema, "data": data, "first": 1, "last": size}
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(growing.BARE)
        connection.execute(growing.FILL.replace("%(data)s::text::jsonb", VARIED).encode(), given)
        connection.execute(growing.INDEXED)
        connection.execute("update log_head set position = %s, recorded_at = now()", [size])
        connection.execute("vacuum analyze events")
        connection.execute("create schema plain")
    return url


def fresh(connection: psycopg.Connection[tuple[object, ...]], name: str) -> int:
    """Let a view, and its twin in plain SQL, be empty; return where the log ends."""
    connection.execute("update projection_checkpoints set position = 0 where name = %s", [name])
    for table in PROJECTIONS[name].tables:
        connection.execute(f"truncate {table.name}".encode())
        connection.execute(f"drop table if exists plain.{table.name}".encode())
        make = f"create table plain.{table.name} (like public.{table.name} including all)"
        connection.execute(make.encode())
    row = connection.execute("select position from log_head").fetchone()
    assert row is not None  # noqa: S101 - the migration makes it
    return int(str(row[0]))


def posting(bench: Bench, url: str, name: str, workers: int) -> Finding:
    """Compare workers with plain SQL that takes as many events a statement."""
    ours, plain = [], []
    for _ in range(bench.rounds):
        with psycopg.connect(url, autocommit=True) as connection:
            end = fresh(connection, name)
            began = time.perf_counter()
            for after in range(0, end, pages.PAGE):
                upto = min(end, after + pages.PAGE)
                connection.execute(PLAIN[name].encode(), {"after": after, "upto": upto})
            plain.append(end / (time.perf_counter() - began))
        ours.append(end / posted(url, name, workers))
    return Finding(
        part=PART,
        what=f"live {name}, {workers} worker{'s' if workers > 1 else ''}",
        unit="events/s",
        values=ours,
        against="plain SQL, 2,000 events a statement",
        base=plain,
        target=LIVE_TARGET,
    )


@contextmanager
def running(*arguments: str) -> Iterator["subprocess.Popen[str]"]:
    """Run a process to measure, which beats when this is entered."""
    with subprocess.Popen(
        [sys.executable, "-m", "benchmarks.post_process", *arguments],
        env=environment({}),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        heard(process)
        yield process


def heard(process: "subprocess.Popen[str]") -> str:
    """Return the next word of a process."""
    assert process.stdout is not None  # noqa: S101 - it is a pipe
    return process.stdout.readline().strip()


def tell(process: "subprocess.Popen[str]") -> None:
    """Tell a process to go on."""
    assert process.stdin is not None  # noqa: S101 - it is a pipe
    process.stdin.write("\n")
    process.stdin.flush()


def posted(url: str, name: str, workers: int) -> float:
    """Return how many seconds some workers take to post a view."""
    with ExitStack() as stack:
        crew = [
            stack.enter_context(running("post", url, name, str(workers))) for _ in range(workers)
        ]
        for word in ("ready", "done"):
            began = time.perf_counter()
            for one in crew:
                tell(one)
            assert [heard(one) for one in crew] == [word] * workers  # noqa: S101 - or no figure
        return time.perf_counter() - began


def rebuilding(url: str, name: str, size: int) -> Iterator[Finding]:
    """Compare a rebuild by two processes with one statement, and with one event a transaction."""
    with psycopg.connect(url, autocommit=True) as connection:
        fresh(connection, name)
        began = time.perf_counter()
        connection.execute(PLAIN[name].encode(), {"after": 0, "upto": size})
        plain = size / (time.perf_counter() - began)
    one_by_one = ONE_BY_ONE / one_a_transaction(url, name)
    rate, memory = rebuilt(url, name, size)
    notes = {"MiB at most in a builder": memory, "one by one": one_by_one}
    yield Finding(
        part=PART,
        what=f"rebuilding {name}, {size:,} events, 2 builders",
        unit="events/s",
        values=[rate],
        against="INSERT ... SELECT",
        base=[plain],
        target=REBUILD_TARGET,
        notes=notes,
    )
    yield Finding(
        part=PART,
        what=f"the same ({name})",
        unit="events/s",
        values=[rate],
        against="one event a transaction",
        base=[one_by_one],
        target=ONE_BY_ONE_TARGET,
    )


def one_a_transaction(url: str, name: str) -> float:
    """Return how many seconds the first events of the log take, each in its own transaction."""
    page, pages.PAGE = pages.PAGE, 1
    try:
        with connect(url, name="bench") as connection:
            head = connection.execute("select position from log_head").fetchone()
            assert head is not None  # noqa: S101 - the migration makes it
            with psycopg.connect(url, autocommit=True) as owner:
                fresh(owner, name)
                owner.execute("update log_head set position = %s", [ONE_BY_ONE])
                began = time.perf_counter()
                catch_up(connection, PROJECTIONS[name], pages.Pages([PROJECTIONS[name]]))
                seconds = time.perf_counter() - began
                owner.execute("update log_head set position = %s", [head[0]])
        return seconds
    finally:
        pages.PAGE = page


def rebuilt(url: str, name: str, size: int, builders: int = 2) -> tuple[float, float]:
    """Return the events a second of a rebuild, and the most memory of one builder in MiB."""
    with ExitStack() as stack, connect(url, name="bench", statement_ms=600_000) as connection:
        crew = [stack.enter_context(running("build", url, name)) for _ in range(builders)]
        began = time.perf_counter()
        start(connection, PROJECTIONS[name])
        for one in crew:
            tell(one)
        memory = max(float(heard(one)) for one in crew)
        return size / (time.perf_counter() - began), memory


def beside_a_rebuild(bench: Bench, url: str) -> Finding:
    """Post a view with and without a builder at another one, as a worker has it beside it."""
    alone: list[float] = []
    beside: list[float] = []
    for _ in range(bench.rounds):
        for rates, around in ((alone, nullcontext()), (beside, under_way(url, REBUILT_BESIDE))):
            with psycopg.connect(url, autocommit=True) as connection:
                end = fresh(connection, BESIDE)
            with around:
                rates.append(end / posted(url, BESIDE, 1))
    return Finding(
        part=PART,
        what=f"live {BESIDE}, 1 worker, beside a rebuild of {REBUILT_BESIDE}",
        unit="events/s",
        values=beside,
        against="without it",
        base=alone,
        target=BESIDE_TARGET,
    )


@contextmanager
def under_way(url: str, name: str) -> Iterator[None]:
    """Rebuild a view while the block lasts, and give that up then."""
    projection = PROJECTIONS[name]
    with running("build", url, name) as builder, connect(url, name="bench") as connection:
        job = start(connection, projection)
        tell(builder)
        try:
            wait_until(lambda: find(connection, job.id).position > 0, 60, "the first rows")
            yield
            assert find(connection, job.id).finished_at is None  # noqa: S101 - or no figure
        finally:
            cancel(connection, projection)
        heard(builder)
