"""`make bench`: measure, print a table, and keep the figures with a chart."""

import argparse
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import (
    appending,
    auditing,
    delays,
    growing,
    listing,
    loading,
    overloading,
    placing_orders,
    privacy,
    projecting,
    reading,
    redis_away,
    report,
    rivals,
    signing_in,
    starting,
    steady,
)
from benchmarks.bench import RESULTS, Bench
from benchmarks.findings import Finding, Report, Skipped

Measure = Callable[[Bench], Iterator[Finding | Skipped]]

PARTS: dict[str, Measure] = {
    one.PART: one.measure
    for one in (
        placing_orders,
        reading,
        listing,
        rivals,
        appending,
        auditing,
        loading,
        privacy,
        growing,
        projecting,
        overloading,
        signing_in,
        delays,
        redis_away,
        steady,
        starting,
    )
}


def main() -> int:
    """Measure what was asked for; 0 if all targets are met, 1 if not."""
    options = parsed()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # and leave nothing behind
    started, moment = time.monotonic(), datetime.now(UTC)
    machine = report.machine()
    results: list[Finding | Skipped] = []
    for name in options.only or PARTS:
        with tempfile.TemporaryDirectory(prefix="data-", dir=made(RESULTS)) as folder:
            Path(folder).chmod(0o755)
            bench = Bench(Path(folder), quick=options.quick, full=options.full)
            results += measured(name, bench)
    found = Report(
        started_at=moment.isoformat(timespec="seconds"),
        seconds=round(time.monotonic() - started, 1),
        quick=options.quick,
        machine=machine,
        findings=[one for one in results if isinstance(one, Finding)],
        skipped=[one for one in results if isinstance(one, Skipped)],
    )
    report.write(found, RESULTS)
    report.show(found, RESULTS)
    return int(any(one.met() is False for one in found.findings))


def parsed() -> argparse.Namespace:
    """Read the options."""
    parser = argparse.ArgumentParser("python -m benchmarks", description=__doc__)
    parser.add_argument("--only", action="append", choices=PARTS, help="this part (repeatable)")
    parser.add_argument("--quick", action="store_true", help="short and rough: does it run at all?")
    parser.add_argument("--full", action="store_true", help="with a log of 10 million events")
    return parser.parse_args()


def measured(name: str, bench: Bench) -> list[Finding | Skipped]:
    """Measure one part; what breaks is said in the report, and the other parts go on."""
    bench.say(f"{name} ...")
    found: list[Finding | Skipped] = []
    try:
        found.extend(PARTS[name](bench))
    except Exception as error:
        if os.environ.get("BENCH_RAISE"):
            raise
        found.append(Skipped(name, "the rest of this part", f"{type(error).__name__}: {error}"))
    return found


def made(folder: Path) -> Path:
    """Return a folder, made if need be."""
    folder.mkdir(parents=True, exist_ok=True)
    return folder


if __name__ == "__main__":
    sys.exit(main())
