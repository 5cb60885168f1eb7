"""A RabbitMQ of the test's own: one node on 127.0.0.1 that leaves nothing behind."""

import os
import random
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from daybook.wakeups.over_rabbitmq import why_unusable

SERVER = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
SECONDS_TO_START = 90


class Rabbitmq:
    """The node, with the daemon that Erlang looks nodes up in."""

    def __init__(self, folder: Path) -> None:
        """Skip the test where RabbitMQ is not installed."""
        epmd = shutil.which("epmd")
        if not SERVER.exists() or epmd is None:
            pytest.skip("needs RabbitMQ (Debian: apt-get install rabbitmq-server)")
        self._folder, self._epmd = folder, epmd
        self.port, self._look_up, self._peers = quiet_port(), quiet_port(), quiet_port()
        self.url = f"amqp://guest:guest@127.0.0.1:{self.port}"
        self._processes: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        """Start it, and wait until it takes messages."""
        look_up = [self._epmd, "-port", str(self._look_up), "-address", "127.0.0.1"]
        self._run(look_up)
        wait_for(self._looks_up)
        self._run([str(SERVER)])
        wait_for(lambda: why_unusable(self.url) is None)

    def stop(self) -> None:
        """Kill it, and what it has started."""
        for process in reversed(self._processes):
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        self._processes.clear()

    def _run(self, command: list[str]) -> None:
        folder = str(self._folder)
        environment = os.environ | {
            "HOME": folder,
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_PORT": str(self._look_up),
            "RABBITMQ_NODENAME": "daybook_test@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(self._peers),
            "RABBITMQ_MNESIA_BASE": folder,
            "RABBITMQ_LOG_BASE": folder,
            "RABBITMQ_PID_FILE": f"{folder}/pid",
            "RABBITMQ_ENABLED_PLUGINS_FILE": f"{folder}/plugins",
            "RABBITMQ_CONF_ENV_FILE": f"{folder}/none",
            "RABBITMQ_CONFIG_FILE": f"{folder}/none",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 1:1 +sbwt none +sbwtdcpu none +sbwtdio none",
        }
        with (self._folder / "output").open("ab") as output:
            self._processes.append(
                subprocess.Popen(
                    command, env=environment, stdout=output, stderr=output, start_new_session=True
                )
            )

    def _looks_up(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self._look_up), 1).close()
        except OSError:
            return False
        return True


def quiet_port() -> int:
    """Return a port that nobody uses, below those that calls go out from.

    Whoever calls one of those until somebody listens there may get himself on the line.
    """
    for port in random.sample(range(20_000, 32_000), 50):
        with socket.socket() as found:
            try:
                found.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    message = "no port is free"
    raise AssertionError(message)


def wait_for(condition: Callable[[], bool]) -> None:
    """Wait until something is so, without using up the machine on which it is to happen."""
    ends = time.monotonic() + SECONDS_TO_START
    while not condition():
        assert time.monotonic() < ends
        time.sleep(0.2)
