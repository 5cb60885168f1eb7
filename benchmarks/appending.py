"""Appending in process, against plain INSERT of the same rows by pgbench, batch for batch."""

import subprocess
import sys
from collections.abc import Iterator
from statistics import median

import msgspec
import psycopg

from benchmarks import plain_insert
from benchmarks.append_process import Appended
from benchmarks.bench import Bench, environment
from benchmarks.findings import Finding, Skipped
from benchmarks.postgres import Postgres, running_postgres

PART = "append"
SIZES = (1, 10, 100)
PROCESSES = (1, 4)
TARGET = 0.8


def measure(bench: Bench) -> Iterator[Finding | Skipped]:
    """Measure each size of command with one process and with four."""
    with running_postgres(bench.folder / "cluster") as postgres:
        url = postgres.create_log("append")
        plain_insert.create(url)
        for processes in PROCESSES:
            for size in SIZES:
                bench.say(f"{PART}: {size} events a command, {processes} processes")
                rounds = [
                    one_round(bench, postgres, url, processes, size) for _ in range(bench.rounds)
                ]
                yield finding(processes, size, rounds)


Round = tuple[float, float, float]


def one_round(bench: Bench, postgres: Postgres, url: str, processes: int, size: int) -> Round:
    """Return our events a second, those of plain INSERT, and the events a statement of both."""
    empty(url)
    postgres.settle()
    ours = append(url, size, processes, bench.seconds)
    events, groups = sum(one.events for one in ours), sum(one.groups for one in ours)
    commands = max(1, round(events / groups / size))
    empty(url)
    postgres.settle()
    wanted = plain_insert.Statements(commands, size, processes)
    plain = plain_insert.run(postgres, url, wanted, bench.folder / "plain.sql", bench.seconds)
    return sum(one.rate for one in ours), plain, commands * size


def append(url: str, size: int, processes: int, seconds: float, *more: str) -> list[Appended]:
    """Run some processes that append at the same time."""
    argv = [sys.executable, "-m", "benchmarks.append_process", url, str(size), str(seconds), *more]
    running = [
        subprocess.Popen(
            argv, env=environment({}), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(processes)
    ]
    try:
        for one in running:
            said = one.stdout.readline()  # type: ignore[union-attr]  # it is a pipe
            if said.strip() != "ready":
                raise RuntimeError(f"A writing process did not start: {said}")
        for one in running:
            one.stdin.write("go\n")  # type: ignore[union-attr]  # it is a pipe
            one.stdin.flush()  # type: ignore[union-attr]  # as above
        ends = [one.communicate(timeout=seconds + 60)[0] for one in running]
    finally:
        for one in running:
            one.kill()
            one.wait()
    return [msgspec.json.decode(end, type=Appended) for end in ends]


def empty(url: str) -> None:
    """Empty both tables, so that each side begins alike."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("set session_replication_role = replica")  # events are kept, else
        connection.execute("truncate events, plain_events")


def finding(processes: int, size: int, rounds: list[Round]) -> Finding:
    """Compare the sides."""
    words = "1 event" if size == 1 else f"{size} events"
    who = "1 process" if processes == 1 else f"{processes} processes"
    return Finding(
        part=PART,
        what=f"{words} a command, {who}",
        unit="events/s",
        values=[ours for ours, _, _ in rounds],
        against="plain INSERT by pgbench",
        base=[plain for _, plain, _ in rounds],
        target=TARGET,
        notes={"events a statement": median(rows for _, _, rows in rounds)},
    )
