"""A whole Daybook as `make up` runs it, in a folder and on a port of its own."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from benchmarks.bench import environment, free_port, wait_until
from daybook.embedded.postgres_place import remove

DAYBOOK = (sys.executable, "-m", "daybook")
EMAIL, PASSWORD = "admin@daybook.example", "a password to measure with"
START_SECONDS = 90.0


class WholeDaybook:
    """Starts and stops `daybook up` on one data directory."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        self.environment = environment(
            {
                "DAYBOOK_DATA_DIR": str(folder / "var"),
                "DAYBOOK_PORT": str(self.port),
                "DAYBOOK_ADMIN_EMAIL": EMAIL,
                "DAYBOOK_ADMIN_PASSWORD": PASSWORD,
                "DAYBOOK_RATE_LIMIT": "off",
                "DAYBOOK_LOGIN_RATE_LIMIT": "off",
            }
        )
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> float:
        """Start it and return the seconds until it says that it runs."""
        log = self.folder / "up.log"
        started = time.perf_counter()
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                [*DAYBOOK, "up"], env=self.environment, stdout=output, stderr=subprocess.STDOUT
            )
        wait_until(lambda: b"Daybook runs." in log.read_bytes(), START_SECONDS, "`daybook up`")
        return time.perf_counter() - started

    def stop(self) -> None:
        """Stop it as Ctrl-C does."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(timeout=60)
            self._process = None

    def run(self, *arguments: str, seconds: float) -> str:
        """Type a command beside it and return what it prints."""
        return subprocess.run(
            [*DAYBOOK, *arguments],
            env=self.environment,
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=True,
        ).stdout

    def client(self) -> httpx.Client:
        """Return a client that has signed in as the administrator."""
        url, who = f"http://127.0.0.1:{self.port}/api/v1", {"email": EMAIL, "password": PASSWORD}
        with httpx.Client(base_url=url, trust_env=False) as nobody:
            answer = nobody.post("/auth/login", json=who).raise_for_status()
        headers = {"Authorization": f"Bearer {answer.json()['data']['accessToken']}"}
        return httpx.Client(base_url=url, headers=headers, trust_env=False)


@contextmanager
def whole_daybook(folder: Path) -> Iterator[WholeDaybook]:
    """Let one be started in a folder while the block lasts; it is removed with its data."""
    folder.mkdir(mode=0o755)
    daybook = WholeDaybook(folder)
    try:
        yield daybook
    finally:
        daybook.stop()
        remove(folder / "var")
