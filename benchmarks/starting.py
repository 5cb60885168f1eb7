"""How long `daybook up` takes to start, and the import of a year of a real retailer's orders."""

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.bench import ROOT, Bench
from benchmarks.findings import Finding, Skipped
from benchmarks.whole_daybook import whole_daybook

PART = "start"
SECOND_START_SECONDS, IMPORT_SECONDS = 8, 60


def measure(bench: Bench) -> Iterator[Finding | Skipped]:
    """Start on an empty folder, start again, then import."""
    firsts, seconds = [], []
    for number in range(1 if bench.quick else 2):
        with whole_daybook(bench.folder / f"up-{number}") as daybook:
            firsts.append(daybook.start())
            daybook.stop()
            seconds.append(daybook.start())
    yield finding("`daybook up`, first start", firsts)
    yield finding("`daybook up`, second start", seconds, SECOND_START_SECONDS)
    given = os.environ.get("DAYBOOK_RETAIL_DATA")
    file = Path(given) if given else ROOT.parent / "shared" / "data" / "online-retail.csv.gz"
    if not file.is_file():
        yield Skipped(PART, "the import", f"There is no {file}: set DAYBOOK_RETAIL_DATA.")
    elif bench.quick:
        yield Skipped(PART, "the import", "It takes most of a minute: ask without --quick.")
    else:
        yield imported(bench, file)


def imported(bench: Bench, file: Path) -> Finding:
    """Import the file into a running Daybook, until all views show it."""
    bench.say(f"{PART}: importing {file.name}")
    with whole_daybook(bench.folder / "up") as daybook:
        daybook.start()
        started = time.perf_counter()
        told = json.loads(daybook.run("import", "orders", str(file), "--json", seconds=300))
        taken = time.perf_counter() - started
    notes = {name: float(told[name]) for name in ("lines read", "orders new", "seconds to append")}
    return finding("import with views caught up", [taken], IMPORT_SECONDS, notes)


def finding(
    what: str,
    values: list[float],
    target: float | None = None,
    notes: dict[str, float] | None = None,
) -> Finding:
    """Say how long something takes."""
    return Finding(
        part=PART,
        what=what,
        unit="s",
        values=values,
        target=target,
        at_most=True,
        notes=notes or {},
    )
