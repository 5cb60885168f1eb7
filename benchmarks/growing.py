"""Appending to logs of different sizes, and the bytes that an event takes."""

from collections.abc import Iterator

import psycopg

from benchmarks.append_process import order_placed
from benchmarks.appending import append
from benchmarks.bench import Bench
from benchmarks.findings import Finding, Skipped
from benchmarks.postgres import Postgres, running_postgres
from event_store.event_types import encode

PART = "size"
SMALL, LARGE, LARGEST = 100_000, 1_000_000, 10_000_000
AT_ONCE = 250_000
TARGET = 1 / 1.1

FILL = """
insert into events (
    position, stream_id, stream_type, version, name, schema_version, data,
    actor_id, actor_role, request_id, correlation_id, causation_id, command_id, command,
    occurred_at, recorded_at
)
select n, uuidv7(), 'order', 1, %(name)s, %(schema)s, %(data)s::text::jsonb,
       gen_random_uuid()::text, 'customer', md5(n::text), md5(n::text), null, uuidv7(),
       'PlaceOrder', now(), now()
  from generate_series(%(first)s::bigint, %(last)s::bigint) as n
"""
# Filled without its indexes, which are then built at once: the same log in a third of the time.
BARE = "alter table events drop constraint events_pkey, drop constraint events_stream_version"
INDEXED = """
set maintenance_work_mem = '256MB';
alter table events add primary key (position),
                   add constraint events_stream_version unique (stream_id, version)
"""
BYTES = """
select pg_table_size('events')::float8 / count(*), pg_indexes_size('events')::float8 / count(*)
  from events
"""


def measure(bench: Bench) -> Iterator[Finding | Skipped]:
    """Measure logs of 100,000, 1 million and, if asked for, 10 million events in turn."""
    sizes = [SMALL, LARGE // 4 if bench.quick else LARGE, *([LARGEST] if bench.full else [])]
    with running_postgres(bench.folder / "cluster") as postgres:
        logs = {}
        for size in sizes:
            bench.say(f"{PART}: filling a log with {size:,} events")
            logs[size] = filled(postgres, size)
        yield from (bytes_an_event(size, url) for size, url in logs.items() if size == sizes[1])
        for kind in ("new", "existing"):
            bench.say(f"{PART}: appending to {kind} streams")
            rates = in_turn(bench, postgres, logs, () if kind == "new" else (kind,))
            for size in sizes[1:]:
                yield Finding(
                    part=PART,
                    what=f"append to {kind} streams at {size:,} events",
                    unit="events/s",
                    values=rates[size],
                    against=f"at {SMALL:,}",
                    base=rates[SMALL],
                    target=TARGET,
                )
    if not bench.full:
        yield Skipped(PART, f"append at {LARGEST:,} events", "It takes minutes: ask with --full.")


def in_turn(
    bench: Bench, postgres: Postgres, logs: dict[int, str], which: tuple[str, ...]
) -> dict[int, list[float]]:
    """Return the events a second on each log, round by round."""
    rates: dict[int, list[float]] = {size: [] for size in logs}
    for _ in range(bench.rounds):
        for size, url in logs.items():
            postgres.settle()
            rates[size].append(append(url, 1, 1, bench.seconds, *which)[0].rate)
    return rates


def filled(postgres: Postgres, size: int) -> str:
    """Make a log with so many orders and return its address."""
    url = postgres.create_log(f"log_{size}")
    name, schema, data = encode(order_placed())
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(BARE)
        for first in range(1, size + 1, AT_ONCE):
            last = min(size, first + AT_ONCE - 1)
            given = {"name": name, "schema": schema, "data": data, "first": first, "last": last}
            connection.execute(FILL, given)
        connection.execute(INDEXED)
        connection.execute("update log_head set position = %s, recorded_at = now()", [size])
        connection.execute("vacuum analyze events")
    return url


def bytes_an_event(size: int, url: str) -> Finding:
    """Say what an event takes on disk, with its share of the indexes."""
    with psycopg.connect(url) as connection:
        found = connection.execute(BYTES).fetchone()
    assert found is not None  # noqa: S101 - an aggregate has a row
    heap, indexes = found
    return Finding(
        part=PART,
        what=f"an order.placed of one line, at {size:,} events",
        unit="bytes",
        values=[heap + indexes],
        notes={"table": heap, "indexes": indexes, "its JSON": len(encode(order_placed())[2])},
        at_most=True,
    )
