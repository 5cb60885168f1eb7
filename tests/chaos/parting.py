"""A worker behind a network that parts: nothing gets through for a while, then all of it.

As TCP has it: what was sent meanwhile arrives late. So a worker that was given up writes what it
had begun, and must be refused.
"""

import asyncio
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from tests.event_store.road import Passage, Road
from tests.stories.running import Running


class FarWorker:
    """A worker of a Daybook that reaches Postgres over a road; it is started again if it ends."""

    def __init__(self, daybook: Running, database_url: str, redis_url: str) -> None:
        self._daybook, self._redis_url = daybook, redis_url
        self._road = Road(database_url)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._open: asyncio.Event | None = None
        self._server: asyncio.Server | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Open the road, and let the worker start over it."""
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._make_road(), self._loop).result(10)
        self.keep()

    def keep(self) -> None:
        """Start the worker if it does not run."""
        if self._process is not None and self._process.poll() is None:
            return
        addresses = {
            "DAYBOOK_DATABASE_URL": self._road.url,
            "DAYBOOK_REDIS_URL": self._redis_url,
            "DAYBOOK_WORKER_PROCESSES": "1",
        }
        with (self._daybook.folder / "far.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "daybook", "work"],
                env=self._daybook.environment | addresses,
                stdout=log,
                stderr=log,
            )

    @contextmanager
    def parted(self) -> Iterator[None]:
        """Let nothing through for a block; who connects gets no answer either."""
        self._set(is_open=False)
        try:
            yield
        finally:
            self._set(is_open=True)

    def stop(self) -> None:
        """Stop the worker and close the road."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        asyncio.run_coroutine_threadsafe(self._close_road(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _make_road(self) -> None:
        self._open = asyncio.Event()
        self._open.set()
        self._road.up = self._road.down = self._gate
        self._server = await self._road.open()

    async def _close_road(self) -> None:
        assert self._server is not None
        self._server.close()
        await self._road.close()

    async def _gate(self, _: Passage, data: bytes) -> bytes:
        assert self._open is not None
        await self._open.wait()
        return data

    def _set(self, *, is_open: bool) -> None:
        assert self._open is not None
        self._loop.call_soon_threadsafe(self._open.set if is_open else self._open.clear)
