"""A Daybook that runs as `make up` runs it, in a folder and on a port of its own."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil

from tests.folders import folder_for_services

DAYBOOK = [sys.executable, "-m", "daybook"]
ADMIN_EMAIL, ADMIN_PASSWORD = "admin@daybook.example", "a password for tests"
START_SECONDS = 60.0


class Running:
    """One running Daybook: its address, its folder, and what can be done to it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        self.url = f"http://127.0.0.1:{self.port}/api/v1"
        self.environment = {
            **{key: value for key, value in os.environ.items() if "DAYBOOK" not in key},
            "DAYBOOK_DATA_DIR": str(folder / "var"),
            "DAYBOOK_PORT": str(self.port),
            "DAYBOOK_ADMIN_EMAIL": ADMIN_EMAIL,
            "DAYBOOK_ADMIN_PASSWORD": ADMIN_PASSWORD,
            "DAYBOOK_RATE_LIMIT": "off",  # stories ask until a view has followed
        }
        self._process: subprocess.Popen[bytes] | None = None
        self._clients: list[httpx.Client] = []

    def start(self) -> None:
        """Start it and wait until it says that it runs."""
        log = self.folder / "up.log"
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                [*DAYBOOK, "up"], env=self.environment, stdout=output, stderr=subprocess.STDOUT
            )
        wait_until(lambda: "Daybook runs." in log.read_text(), START_SECONDS, log)

    def stop(self, signum: int = signal.SIGINT) -> int:
        """Stop it as Ctrl-C does and return its exit code."""
        for client in self._clients:
            client.close()
        assert self._process is not None
        self._process.send_signal(signum)
        return self._process.wait(timeout=60)

    def run(self, *arguments: str, seconds: float = 600) -> "subprocess.CompletedProcess[str]":
        """Type a command beside it."""
        return subprocess.run(
            [*DAYBOOK, *arguments],
            env=self.environment,
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )

    def popen(self, *arguments: str) -> "subprocess.Popen[bytes]":
        """Start a command beside it."""
        return subprocess.Popen(
            [*DAYBOOK, *arguments],
            env=self.environment,
            cwd=self.folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def processes(self, pattern: str = "") -> list[psutil.Process]:
        """Return the processes of this Daybook whose command line has a pattern."""
        found = []
        for process in psutil.process_iter():
            try:
                words = " ".join(process.cmdline())
                mine = self._is_mine(process, words)
            except psutil.Error:
                continue
            if mine and re.search(pattern, words) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        return found

    def _is_mine(self, process: psutil.Process, words: str) -> bool:
        place = str(self.folder)
        return place in words or process.environ().get("DAYBOOK_DATA_DIR", "").startswith(place)

    def kill(self, pattern: str) -> None:
        """Kill those processes with SIGKILL; there must be some.

        Afterwards they are gone, and so is what they had started: nothing answers for them.
        """
        victims = self.processes(pattern)
        assert victims, pattern
        orphans = [child for one in victims for child in children_of(one)]
        for victim in victims:
            victim.kill()
        wait_until(lambda: all(map(has_ended, (*victims, *orphans))), START_SECONDS)

    def client(self, token: str | None = None) -> httpx.Client:
        """Return a client of the API, signed in with a token."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        client = httpx.Client(base_url=self.url, headers=headers, timeout=30)
        self._clients.append(client)
        return client

    def log_in(self, email: str = ADMIN_EMAIL, password: str = ADMIN_PASSWORD) -> httpx.Client:
        """Return a client that has signed in."""
        with self.client() as anonymous:
            answer = anonymous.post("/auth/login", json={"email": email, "password": password})
        return self.client(data_of(answer)["accessToken"])


@contextmanager
def running_daybook(**changed: str) -> Iterator[Running]:
    """Run a Daybook while the block lasts; named arguments change its environment."""
    with folder_for_services() as folder:
        daybook = Running(folder)
        daybook.environment |= changed
        daybook.start()
        try:
            yield daybook
        finally:
            daybook.stop()


def children_of(process: psutil.Process) -> list[psutil.Process]:
    """Return what a process has started, none if it has ended."""
    try:
        return process.children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def has_ended(process: psutil.Process) -> bool:
    """Tell whether a process runs no more, whether or not its parent has taken notice."""
    try:
        return bool(process.status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def seen_of(client: httpx.Client, path: str, written: httpx.Response, **query: Any) -> Any:
    """Return the data at a path as its view shows it once it has seen what was written."""
    insist = {"Daybook-Min-Position": written.headers["daybook-position"], "Prefer": "wait=10"}
    wait_until(lambda: client.get(path, params=query, headers=insist).is_success, START_SECONDS)
    return data_of(client.get(path, params=query, headers=insist))


def data_of(answer: httpx.Response) -> Any:
    """Return the data of an answer that must be a success."""
    body = answer.json()
    assert body["success"], body
    return body["data"]


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(condition: Callable[[], bool], seconds: float, log: Path | None = None) -> None:
    """Wait for something to come true; fail with the end of a log if it does not."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(log.read_text()[-2_000:] if log else "waited in vain")
        time.sleep(0.05)
