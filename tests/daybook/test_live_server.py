"""Event streams on the server as it is shipped: who leaves is forgotten, who stops it may go."""

import asyncio
import os
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.api.conftest import ADMIN_EMAIL, PASSWORD, create_admin
from tests.event_store.given import rows
from tests.stories.running import data_of, free_port, wait_until

CLIENTS = int(os.environ.get("DAYBOOK_TEST_STREAMS", "300"))
MOST_OF_ONE_USER = 100
CONNECTIONS = """
select count(*) from pg_stat_activity
 where datname = current_database() and application_name = 'daybook live'
"""

ALL_CONNECTIONS = "select count(*) from pg_stat_activity where datname = current_database()"
RESET = struct.pack("ii", 1, 0)


class Line:
    """A connection of its own over which somebody follows the feed."""

    def __init__(self, port: int, token: str, last: str = "") -> None:
        """Wait for the first sign of life."""
        self.heard = b""
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=20)
        resume = f"Last-Event-ID: {last}\r\n" if last else ""
        self.socket.sendall(
            f"GET /api/v1/feed HTTP/1.1\r\nHost: localhost\r\n{resume}"
            f"Authorization: Bearer {token}\r\n\r\n".encode()
        )
        self.until(b": heartbeat")

    def until(self, what: bytes) -> None:
        """Read until something has come; it must come before the end."""
        while what not in self.heard:
            more = self.socket.recv(65_536)
            assert more, self.heard[-500:]
            self.heard += more

    @property
    def ids(self) -> list[str]:
        """The ids of the events that were heard."""
        events = [one for one in self.heard.decode().split("\n\n") if "event: " in one]
        return [one.split("\nid: ")[1].split("\n")[0] for one in events]


class Server:
    """A running server, and an administrator's client of it."""

    def __init__(self, port: int, process: "subprocess.Popen[bytes]", client: httpx.Client) -> None:
        self.port, self.process, self.client = port, process, client
        self.token = self.sign_in(ADMIN_EMAIL)
        client.headers["Authorization"] = f"Bearer {self.token}"

    def sign_in(self, email: str) -> str:
        """Return an access token."""
        credentials = {"email": email, "password": PASSWORD}
        answer = self.client.post("/api/v1/auth/login", json=credentials)
        return str(data_of(answer)["accessToken"])

    def staff(self, name: str) -> str:
        """Return the access token of somebody new who works here."""
        body = {"email": f"{name}@example.com", "password": PASSWORD, "name": "Ada"}
        user = data_of(self.client.post("/api/v1/users", json=body))["id"]
        data_of(self.client.put(f"/api/v1/users/{user}/role", json={"role": "staff"}))
        return self.sign_in(body["email"])

    @property
    def streams(self) -> int:
        """How many clients listen, as the server says."""
        return int(data_of(self.client.get("/health/ready"))["details"]["streams"])

    def list_product(self, sku: str) -> None:
        """Let something happen."""
        price = {"amount": "1.00", "currency": "GBP"}
        body = {"sku": sku, "name": "Tea", "price": price, "stock": None}
        data_of(self.client.post("/api/v1/products", json=body))


@contextmanager
def serving(environment: dict[str, str], log: Path) -> Iterator[Server]:
    """Run `daybook serve` for the length of a block."""
    port = free_port()
    changed = {"DAYBOOK_PORT": str(port), "DAYBOOK_RATE_LIMIT": "off"}
    with (
        log.open("wb") as output,
        subprocess.Popen(
            [sys.executable, "-m", "daybook", "serve"],
            env=environment | changed,
            stdout=output,
            stderr=subprocess.STDOUT,
        ) as process,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=20) as client,
    ):
        try:
            wait_until(lambda: answers(client), 60, log)
            yield Server(port, process, client)
        finally:
            process.terminate()


def answers(client: httpx.Client) -> bool:
    """Tell whether the server is ready."""
    try:
        return client.get("/health/ready").status_code == 200
    except httpx.HTTPError:
        return False


def test_streams_on_the_shipped_server(
    environment: dict[str, str], database_url: str, tmp_path: Path
) -> None:
    """One story, for starting a server costs seconds."""
    asyncio.run(create_admin(database_url))
    with serving(environment, tmp_path / "first.log") as server:
        groups = range(-(-CLIENTS // MOST_OF_ONE_USER))
        tokens = [server.staff(f"staff-{number}") for number in groups]
        before = rows(database_url, ALL_CONNECTIONS)[0][0]
        lines = [Line(server.port, tokens[n // MOST_OF_ONE_USER]) for n in range(CLIENTS)]
        stays = Line(server.port, server.token)
        assert server.streams == CLIENTS + 1
        assert rows(database_url, CONNECTIONS)[0][0] <= 2
        server.list_product("ALL-HEAR")
        for line in (*lines, stays):
            line.until(b"ALL-HEAR")
            assert len(line.ids) == 1

        for number, line in enumerate(lines):
            if number % 2:  # every other one is cut off: by a reset, not by an end
                line.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            line.socket.close()
        wait_until(lambda: server.streams == 1, 5)
        assert rows(database_url, ALL_CONNECTIONS)[0][0] <= before + 2

        began = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        stays.until(b"\r\n0\r\n\r\n")  # ended, not cut off
        assert server.process.wait(10) == 0
        assert time.monotonic() - began < 10
        stays.socket.close()

    with serving(environment, tmp_path / "second.log") as server:
        server.list_product("WHILE-AWAY")
        again = Line(server.port, server.token, last=stays.ids[-1])
        server.list_product("BACK-AGAIN")
        again.until(b"BACK-AGAIN")
        first, second = again.ids
        assert int(stays.ids[-1]) < int(first) < int(second)
        assert again.heard.index(b"WHILE-AWAY") < again.heard.index(b"BACK-AGAIN")
        again.socket.close()
