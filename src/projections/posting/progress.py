"""News of how far views have come: told by whoever posts them, awaited by whoever reads them.

What is told is a hint, as all wake-ups are: the checkpoints say how far. A process that has readers
waiting looks at them after each hint, over one connection for all its readers.
"""

import asyncio
import contextlib
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import NamedTuple, Self

import psycopg
import structlog
from psycopg import AsyncConnection, Connection, errors
from psycopg.rows import TupleRow

from event_store.connections import connect_async
from projections.projection import Projection

# In a transaction of its own after the checkpoint's: a transaction that notifies holds a lock of
# all of the server's while it commits, so this one must not wait for the disk.
TELL = "select set_config('synchronous_commit', 'off', true), pg_notify('daybook_views', %s)"
LISTEN, UNLISTEN = "listen daybook_views", "unlisten daybook_views"
LOOK = """
select v.name, v.version, min(c.position)
  from projection_versions v
  join projection_checkpoints c on c.name = v.name and c.version = v.serves and c.side = 'live'
 group by v.name, v.version
"""

# For a hint that was lost: its teller died between the two transactions.
UNTOLD_SECONDS = 0.5
# Where nothing can be heard, as on a replica.
DEAF_SECONDS = 0.05
SECONDS_BETWEEN_LOOKS = 0.005
# Nobody has waited for so long: hints would only wake this process in vain.
IDLE_SECONDS = 2.0
AWAY_SECONDS = 0.25
MOST_WAITING = 1_000

log = structlog.get_logger(__name__)

Key = tuple[str, int]


def tell(connection: Connection[TupleRow], projection: Projection) -> None:
    """Say that a view has come further; after the commit, outside of any transaction."""
    connection.execute(TELL, [projection.name], prepare=True)


class Waiting(NamedTuple):
    """A reader who waits for a view to come to a position."""

    key: Key
    position: int
    reached: "asyncio.Future[None]"


class Progress(AbstractAsyncContextManager["Progress"]):
    """What a process knows of how far the views are; entered, it finds out while somebody waits."""

    def __init__(self, database_url: str) -> None:
        self._database_url = database_url
        self._known: dict[Key, int] = {}
        self._waiting: set[Waiting] = set()
        self._wanted = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Get ready; Postgres may be away."""
        self._task = asyncio.create_task(self._run(), name="progress")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Hang up."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def reached(self, projection: Projection, position: int, ends: float) -> bool:
        """Wait until a view has come to a position; False if not by a moment of the loop's clock.

        True is a hint too: whoever reads then sees for himself.
        """
        key = projection.name, projection.version
        loop = asyncio.get_running_loop()
        if loop.time() >= ends:
            return False
        if self._wanted.is_set() and self._known.get(key, -1) >= position:
            return True
        if len(self._waiting) >= MOST_WAITING:
            return False
        with self._reader(Waiting(key, position, loop.create_future())) as waiting:
            try:
                async with asyncio.timeout_at(ends):
                    await waiting.reached
            except TimeoutError:
                return False
            return True

    @contextlib.contextmanager
    def _reader(self, waiting: Waiting) -> Iterator[Waiting]:
        self._waiting.add(waiting)
        self._wanted.set()
        try:
            yield waiting
        finally:
            self._waiting.discard(waiting)

    async def _run(self) -> None:
        while True:
            await self._wanted.wait()
            try:
                async with await connect_async(
                    self._database_url, name="daybook progress"
                ) as connection:
                    await self._serve(connection)
            except (psycopg.Error, OSError) as error:
                log.warning("progress_unseen", error=type(error).__name__)
                await asyncio.sleep(AWAY_SECONDS)

    async def _serve(self, connection: AsyncConnection[TupleRow]) -> None:
        while True:
            await self._wanted.wait()
            try:
                await connection.execute(LISTEN)
                pause = UNTOLD_SECONDS
            except errors.ReadOnlySqlTransaction:
                pause = DEAF_SECONDS
            await self._follow(connection, pause)
            self._wanted.clear()
            if pause == UNTOLD_SECONDS:
                await connection.execute(UNLISTEN)

    async def _follow(self, connection: AsyncConnection[TupleRow], pause: float) -> None:
        """Look now and after each hint, until nobody has waited for a while."""
        clock = asyncio.get_running_loop().time
        needed = clock()
        while self._waiting or clock() < needed + IDLE_SECONDS:
            cursor = await connection.execute(LOOK, prepare=True)
            self._learn({(name, version): seen for name, version, seen in await cursor.fetchall()})
            if self._waiting:
                needed = clock()
            await asyncio.sleep(SECONDS_BETWEEN_LOOKS)
            async for _ in connection.notifies(timeout=pause, stop_after=1):
                pass

    def _learn(self, known: dict[Key, int]) -> None:
        self._known = known
        for one in self._waiting:
            if known.get(one.key, -1) >= one.position and not one.reached.done():
                one.reached.set_result(None)
