"""A client of an event stream in this process: it speaks ASGI, so that it can be slow or leave."""

import asyncio
import json
from collections.abc import Callable
from typing import Any, NamedTuple

from litestar import Litestar

SECONDS = 20.0


class Told(NamedTuple):
    """One server-sent event."""

    event: str
    id: int
    data: dict[str, Any]


class Listening:
    """One request for a stream; `taking` cleared: it takes nothing more of what is sent."""

    def __init__(self, app: Litestar, path: str, token: str | None, **headers: str) -> None:
        self.status, self.ended = 0, False
        self.headers: dict[str, str] = {}
        self.text = ""
        self.taking = asyncio.Event()
        self.taking.set()
        self._heard, self._left = asyncio.Event(), asyncio.Event()
        given = {name.replace("_", "-").lower(): value for name, value in headers.items()}
        given["host"] = "localhost"
        if token:
            given["authorization"] = f"Bearer {token}"
        path, _, query = path.partition("?")
        scope: Any = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": given.pop("method", "GET"),
            "scheme": "http",
            "path": f"/api/v1{path}",
            "raw_path": f"/api/v1{path}".encode(),
            "root_path": "",
            "query_string": query.encode(),
            "headers": [(name.encode(), value.encode()) for name, value in given.items()],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 80),
            "state": {},
        }
        self.task = asyncio.create_task(app(scope, self._receive, self._send))
        self._asked = False

    async def _receive(self) -> Any:
        if not self._asked:
            self._asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self._left.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {name.decode(): value.decode() for name, value in message["headers"]}
        else:
            await self.taking.wait()
            self.text += message["body"].decode()
            self.ended = not message.get("more_body", False)
        self._heard.set()

    @property
    def told(self) -> list[Told]:
        """What has come so far."""
        found = []
        for block in self.text.split("\n\n")[:-1]:
            fields = dict(line.split(": ", 1) for line in block.split("\n") if line[0] != ":")
            if "data" in fields:
                found.append(Told(fields["event"], int(fields["id"]), json.loads(fields["data"])))
        return found

    @property
    def last_id(self) -> int:
        """What a client would send as Last-Event-ID: also ids that came without an event."""
        ids = [line for line in self.text.split("\n") if line.startswith("id: ")]
        return int(ids[-1].removeprefix("id: "))

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for something to come true of what has come."""
        async with asyncio.timeout(SECONDS):
            while not condition():
                self._heard.clear()
                await self._heard.wait()

    async def begun(self) -> "Listening":
        """Wait for the head, and the first sign of life."""
        await self.until(lambda: bool(self.text) or self.ended)
        return self

    async def hear(self, count: int) -> list[Told]:
        """Wait for so many events and return all."""
        await self.until(lambda: len(self.told) >= count)
        return self.told

    async def leave(self) -> None:
        """Leave, and wait until the server has noticed."""
        self._left.set()
        self.taking.set()
        await self.end()

    async def end(self) -> None:
        """Wait until the server has ended it."""
        async with asyncio.timeout(SECONDS):
            await self.task
