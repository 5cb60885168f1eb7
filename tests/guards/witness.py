"""A plugin of pytest: writes down how each test went, for whoever started pytest."""

import os
from pathlib import Path
from typing import Literal

import msgspec
import pytest

REPORT = "DAYBOOK_GUARDS_REPORT"


class Seen(msgspec.Struct, frozen=True):
    """How a phase of a test went; `told` is the failure as pytest prints it."""

    test: str
    phase: Literal["setup", "call", "teardown"]
    outcome: Literal["passed", "failed", "skipped"]
    told: str = ""


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Add a line for each phase; with workers, the process that started them does."""
    if "PYTEST_XDIST_WORKER" in os.environ or report.when is None:
        return
    seen = Seen(report.nodeid, report.when, report.outcome, report.longreprtext)
    with Path(os.environ[REPORT]).open("ab") as file:
        file.write(msgspec.json.encode(seen) + b"\n")


def read(file: Path) -> list[Seen]:
    """Return what was written down; nothing if pytest did not come so far."""
    lines = file.read_bytes().splitlines() if file.exists() else []
    return [msgspec.json.decode(line, type=Seen) for line in lines]
