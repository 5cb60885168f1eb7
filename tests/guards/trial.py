"""Running guards' tests in copies of the program, with the guards and without one."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import psutil

from daybook.services import services
from daybook.settings import Settings
from tests.conftest import make_hasty
from tests.guards.guard import ROOT, Guard
from tests.guards.verdict import Verdict, verdict
from tests.guards.witness import REPORT, Seen, read

TEST_SECONDS = 60
RUN_SECONDS = 120.0  # then pytest itself is ended
ENDING_SECONDS = 10.0
PAUSE_SECONDS = 0.05
NEEDED, NEEDED_FILES = ("src", "tests", "migrations", "docs", "deploy"), ("pyproject.toml",)
COMPILED = shutil.ignore_patterns("__pycache__")
SERVER = "DAYBOOK_TEST_DATABASE_URL"
PYTEST = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "tests.guards.witness"]
PYTEST += ["--tb", "long", "--timeout", str(TEST_SECONDS)]
NOT_OURS = ("PYTEST_", "PYTHONDONTWRITEBYTECODE")
TWO_AT_ONCE = ["-n", "2", "--dist", "loadfile"]


class Run(NamedTuple):
    """What was seen of tests, and what pytest printed."""

    seen: list[Seen]
    printed: str

    @property
    def failed(self) -> list[Seen]:
        """The phases of tests that failed."""
        return [one for one in self.seen if one.outcome == "failed"]

    @property
    def told(self) -> str:
        """What there is to read about it: the failures, else all that was printed."""
        return "\n".join(one.told for one in self.failed) or self.printed


class Trial(NamedTuple):
    """What came of a run without a guard."""

    guard: Guard
    verdict: Verdict
    told: str
    seconds: float


class Attempt(AbstractContextManager["Attempt"]):
    """Pytest in a copy of the program; left, it is gone with all that it has started."""

    def __init__(
        self, copy: Path, server_url: str, arguments: Sequence[str], seconds: float
    ) -> None:
        """Start it; `server_url` is where tests make their databases."""
        self._report, self._output = copy / "report", copy / "output"
        self._report.unlink(missing_ok=True)  # that of what this is a copy of
        self._began, self._seconds = time.monotonic(), seconds
        with self._output.open("wb") as printed:
            self._process = subprocess.Popen(
                [sys.executable, *PYTEST, *arguments],
                cwd=copy,
                env=environment(copy) | {REPORT: str(self._report), SERVER: server_url},
                stdin=subprocess.DEVNULL,
                stdout=printed,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def __exit__(self, *_: object) -> None:
        """Tell it to end if it has not, then see to it."""
        known = started_by(self._process.pid)
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)  # so that pytest takes its fixtures down
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(ENDING_SECONDS)
        for one in {*known, *started_by(self._process.pid)}:
            with suppress(psutil.Error):
                one.kill()
        self._process.kill()
        self._process.wait()

    @property
    def seconds(self) -> float:
        """For how long it has run."""
        return time.monotonic() - self._began

    @property
    def is_over(self) -> bool:
        """Tell whether it has come to its end, or had its time."""
        return self._process.poll() is not None or self.seconds > self._seconds

    def run(self) -> Run:
        """Return what was seen of it."""
        printed = self._output.read_text(encoding="utf-8", errors="replace")
        return Run(read(self._report), printed)


class Bench:
    """Where guards are tried: a copy of the program, from which others are made, and a Postgres."""

    def __init__(self, folder: Path, server_url: str) -> None:
        """Copy the program into a folder; the checkout is not looked at any more."""
        self._folder, self._server_url = folder, server_url
        self._whole = folder / "whole"
        for name in NEEDED:
            shutil.copytree(ROOT / name, self._whole / name, ignore=COMPILED)
        for name in NEEDED_FILES:
            shutil.copy(ROOT / name, self._whole / name)

    def whole(self, guards: Sequence[Guard]) -> Run:
        """Run the tests of some guards with every guard in its place."""
        tests = sorted({guard.node for guard in guards})
        seconds = RUN_SECONDS + TEST_SECONDS * len(tests)
        arguments = [*tests, *(TWO_AT_ONCE if len(tests) > 1 else ())]
        with Attempt(self._whole, self._server_url, arguments, seconds) as attempt:
            while not attempt.is_over:
                time.sleep(PAUSE_SECONDS)
            return attempt.run()

    def trials(self, guards: Sequence[Guard], at_once: int) -> Iterator[Trial]:
        """Run the test of each guard without the guard, some of them at a time."""
        waiting = deque(guards)
        with ExitStack() as stack:
            running: list[tuple[Guard, Attempt, ExitStack]] = []
            while waiting or running:
                while waiting and len(running) < at_once:
                    ending = stack.enter_context(ExitStack())
                    guard = waiting.popleft()
                    running.append((guard, self._without(guard, ending), ending))
                time.sleep(PAUSE_SECONDS)
                for one in [one for one in running if one[1].is_over]:
                    running.remove(one)
                    yield ended(*one)

    def _without(self, guard: Guard, ending: ExitStack) -> Attempt:
        """Start a guard's test in a copy without the guard."""
        copy = self._folder / guard.name
        ending.callback(shutil.rmtree, copy, ignore_errors=True)
        shutil.copytree(self._whole, copy)
        guard.take_out(copy)
        return ending.enter_context(Attempt(copy, self._server_url, [guard.node], RUN_SECONDS))


def ended(guard: Guard, attempt: Attempt, ending: ExitStack) -> Trial:
    """Judge an attempt and clear it away."""
    with ending:
        seconds, run = attempt.seconds, attempt.run()
    return Trial(guard, verdict(guard, run.seen), run.told, seconds)


@contextmanager
def bench() -> Iterator[Bench]:
    """Get ready in a temporary folder; nothing is left of it."""
    with (
        TemporaryDirectory(prefix="daybook-guards-", ignore_cleanup_errors=True) as folder,
        services(Settings(data_dir=Path(folder) / "var")) as found,
    ):
        make_hasty(found.database_url)
        yield Bench(Path(folder), found.database_url)


def environment(copy: Path) -> dict[str, str]:
    """Let pytest, and what tests start, import the copy, and know of no pytest around them."""
    mine = {name: value for name, value in os.environ.items() if not name.startswith(NOT_OURS)}
    return mine | {"PYTHONPATH": f"{copy / 'src'}{os.pathsep}{copy}"}


def started_by(pid: int) -> list[psutil.Process]:
    """Return the processes that a process has started, and those that they have."""
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.Error:
        return []
