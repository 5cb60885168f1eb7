"""One program under supervision: what it is, what it has written, when it is started again."""

import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from daybook.processes import guard

GENTLE = ((signal.SIGTERM, 10.0), (signal.SIGKILL, 5.0))
"""How an API or a worker is stopped: signals, with the seconds that each is given."""

FIRST_DELAY = 0.2
LONGEST_DELAY = 5.0
HEALTHY_SECONDS = 30.0
START_SECONDS = 10.0
FAILED_STARTS = 5
LOG_LIMIT = 10_000_000
KILLED_FROM_OUTSIDE = {-signal.SIGKILL, -signal.SIGTERM, -signal.SIGINT}

Steps = Sequence[tuple[int, float]]


@dataclass(frozen=True)
class User:
    """Whom a program runs as, when that is not the user of this process."""

    uid: int
    gid: int


@dataclass(frozen=True)
class Program:
    """What is run, as whom, how it is stopped (see `GENTLE`), and where its output goes."""

    name: str
    argv: Sequence[str]
    env: Mapping[str, str] | None
    user: User | None
    stop: Steps
    rank: int
    log: Path


@dataclass
class Child:
    """A program that was started, and what has become of it since."""

    program: Program
    process: subprocess.Popen[bytes]
    log_offset: int
    watched: bool = False
    proven: bool = False
    started: float = field(default_factory=time.monotonic)
    delay: float = FIRST_DELAY
    failures: int = 0
    restart_at: float | None = None

    def alive(self) -> bool:
        """Tell whether it runs, or anything that it has started."""
        running = self.process.poll() is None
        return running or guard.group_alive(self.process.pid)

    def written(self) -> str:
        """Read what the log has gained since the last start."""
        with self.program.log.open("rb") as log:
            log.seek(self.log_offset)
            return log.read().decode(errors="replace")

    def next_start(self) -> float | None:
        """Decide, now that it has ended, in how many seconds it is started again; None: never."""
        lived = time.monotonic() - self.started
        killed = self.process.returncode in KILLED_FROM_OUTSIDE
        if lived >= HEALTHY_SECONDS or (killed and lived >= START_SECONDS / 5):
            self.delay = FIRST_DELAY
        self.failures = self.failures + 1 if lived < START_SECONDS and not killed else 0
        # What has run before fails for a reason outside of it, such as a full disk: that may pass.
        self.proven = self.proven or lived >= START_SECONDS
        if self.failures >= FAILED_STARTS and not self.proven:
            return None
        delay = self.delay
        self.restart_at = time.monotonic() + delay
        self.delay = min(2 * delay, LONGEST_DELAY)
        return delay


def last_lines(log: str, count: int = 5) -> str:
    """Cut out the end of a log, indented, to stand below a sentence."""
    return "\n".join(f"    {line}" for line in log.strip().splitlines()[-count:])


def ended(code: int) -> str:
    """Say how a program ended."""
    return f"exit code {code}" if code >= 0 else f"killed by {signal.Signals(-code).name}"


def rotate(log: Path) -> None:
    """Put a log aside that has become long."""
    if log.exists() and log.stat().st_size > LOG_LIMIT:
        log.replace(log.with_suffix(".log.1"))
