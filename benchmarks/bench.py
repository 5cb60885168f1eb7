"""What every measurement works with: how long to measure, where to put things, how to talk."""

import os
import socket
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"


@dataclass(frozen=True)
class Bench:
    """One run: `folder` is its own and is removed at its end."""

    folder: Path
    quick: bool
    full: bool

    @property
    def rounds(self) -> int:
        """How often each side is measured, in turn with the others."""
        return 2 if self.quick else 3

    @property
    def seconds(self) -> float:
        """How long a side is measured in a round."""
        return 1 if self.quick else 3

    def say(self, line: str) -> None:
        """Tell the person who waits."""
        sys.stderr.write(f"  {time.strftime('%H:%M:%S')} {line}\n")
        sys.stderr.flush()


def environment(more: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a program to measure: no setting of Daybook but those given."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("DAYBOOK_")}
    paths = [str(ROOT), str(ROOT / "src"), *filter(None, [kept.get("PYTHONPATH")])]
    return {**kept, "PYTHONPATH": os.pathsep.join(paths), **more}


def free_port() -> int:
    """Return a port of the loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def listens(port: int) -> bool:
    """Tell whether somebody listens there."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def wait_until(condition: Callable[[], bool], seconds: float, what: str) -> None:
    """Wait for something to come true; TimeoutError if it does not."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"Waited {seconds:g} s in vain for {what}.")
        time.sleep(0.01)


def memory_of(data_dir: Path) -> int:
    """Return the bytes that the Python processes of a Daybook hold; Postgres is not counted."""
    mark = f"DAYBOOK_DATA_DIR={data_dir}".encode()
    held = 0
    for process in Path("/proc").iterdir():
        try:
            if (
                mark in (process / "environ").read_bytes()
                and b"python" in (process / "cmdline").read_bytes()
            ):
                held += int((process / "statm").read_text(encoding="ascii").split()[1]) * 4_096
        except (OSError, IndexError, ValueError):
            continue  # not a process, or it has ended
    return held
