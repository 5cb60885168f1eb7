"""A TCP road to Postgres that a test can watch, hold up, swallow or cut."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

from psycopg.conninfo import conninfo_to_dict, make_conninfo

SIZE = 1 << 16


class Passage:
    """One connection on the road; numbered from 1."""

    def __init__(
        self, number: int, client: asyncio.StreamWriter, server: asyncio.StreamWriter
    ) -> None:
        self.number, self.client, self.server = number, client, server


Gate = Callable[[Passage, bytes], Awaitable[bytes]]


async def open_gate(_: Passage, data: bytes) -> bytes:
    """Let everything through."""
    return data


async def swallow(_: Passage, __: bytes) -> bytes:
    """Let nothing through, while the connection stays up."""
    return b""


async def cut(passage: Passage, _: bytes) -> bytes:
    """Hang up on the client instead of telling it what Postgres says."""
    passage.client.transport.abort()
    return b""


class Road:
    """The road: `up` and `down` say what becomes of the bytes to and from Postgres.

    `refuses`: nobody gets through at all.
    """

    def __init__(self, database_url: str) -> None:
        self._where = conninfo_to_dict(database_url)
        self._database_url = database_url
        self._tasks: set[asyncio.Task[None]] = set()
        self.passages: list[Passage] = []
        self.up: Gate = open_gate
        self.down: Gate = open_gate
        self.refuses = False
        self.url = ""

    async def open(self) -> asyncio.Server:
        """Listen on a free port; `url` leads there."""
        server = await asyncio.start_server(self._arrive, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        self.url = make_conninfo(self._database_url, host="127.0.0.1", port=port)
        return server

    async def close(self) -> None:
        """Hang up everything."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        host, port = str(self._where.get("host") or "127.0.0.1"), self._where.get("port") or 5432
        if host.startswith("/"):
            return await asyncio.open_unix_connection(f"{host}/.s.PGSQL.{port}")
        return await asyncio.open_connection(host, int(port))

    def _arrive(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._tasks.add(asyncio.create_task(self._pass(reader, writer)))

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with hung_up(writer):
            if self.refuses:
                return
            from_server, to_server = await self._connect()
            async with hung_up(to_server):
                passage = Passage(len(self.passages) + 1, writer, to_server)
                self.passages.append(passage)
                await asyncio.gather(
                    self._carry_up(passage, reader), self._carry_down(passage, from_server)
                )

    async def _carry_up(self, passage: Passage, source: asyncio.StreamReader) -> None:
        # The server's side stays up when the client's is cut: a backend at work goes on with it.
        with suppress(OSError):
            while data := await source.read(SIZE):
                passage.server.write(await self.up(passage, data))
                await passage.server.drain()

    async def _carry_down(self, passage: Passage, source: asyncio.StreamReader) -> None:
        with suppress(OSError):
            while data := await source.read(SIZE):
                passage.client.write(await self.down(passage, data))
                await passage.client.drain()
        passage.client.close()


@asynccontextmanager
async def hung_up(writer: asyncio.StreamWriter) -> AsyncIterator[None]:
    """Close a connection after a block, whatever happened in it."""
    try:
        yield
    finally:
        writer.transport.abort()
        with suppress(OSError):
            await writer.wait_closed()


@asynccontextmanager
async def road_to(database_url: str) -> AsyncIterator[Road]:
    """Open a road for the length of a block."""
    road = Road(database_url)
    server = await road.open()
    try:
        yield road
    finally:
        server.close()
        await road.close()
