"""What a worker has done beside posting: by a process that ends with it and never before."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from daybook.processes.children import Kept
from tests.valkey import until

MODULE = "tests.daybook.child_that_tells"
PARENT = f"""
import time
from daybook.processes.children import Kept
kept = Kept({MODULE!r}, "")
kept.start()
time.sleep(600)
"""


def lines(log: Path) -> list[list[str]]:
    """Return the words and process ids that children have written."""
    text = log.read_text(encoding="utf-8") if log.exists() else ""
    return [line.split() for line in text.splitlines()]


def alive(pid: int) -> bool:
    """Tell whether a process is there and no zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def test_it_hears_of_news_and_is_replaced_when_it_dies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "child"
    monkeypatch.setenv("CHILD_LOG", str(log))
    kept = Kept(MODULE, "")
    kept.tell()  # before it is there: nothing to say it to
    kept.start()
    until(lambda: len(lines(log)) == 1, 20)
    first = int(lines(log)[0][1])
    for _ in range(100_000):  # more than a pipe holds, and it never waits
        kept.tell()
    until(lambda: ["news", str(first)] in lines(log), 20)
    os.kill(first, signal.SIGKILL)
    until(lambda: lines(log)[-1][0] == "here", 20)
    second = int(lines(log)[-1][1])
    assert second != first
    kept.tell()
    until(lambda: lines(log)[-1] == ["news", str(second)], 20)
    kept.stop()
    until(lambda: not alive(second), 20)


def test_it_ends_when_its_worker_is_killed(tmp_path: Path) -> None:
    log = tmp_path / "child"
    with subprocess.Popen(
        [sys.executable, "-c", PARENT], env={**os.environ, "CHILD_LOG": str(log)}
    ) as parent:
        until(lambda: len(lines(log)) == 1, 20)
        parent.kill()
    child = int(lines(log)[0][1])
    until(lambda: not alive(child), 20)
