"""Which rows events have touched lately, as the log says: what makes a cached row old.

A row that was read when its view had seen a position is good until a later event concerns it.
So nobody has to invalidate anything, and nothing that is lost or late can make an old row look new.
The log is followed only while somebody asks for rows.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterable
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Any, Self

import structlog
from sqlalchemy import Table

from event_store.event_types import UnknownEvent, UnreadableEvent
from event_store.news import News, NewsReader
from event_store.records import Recorded, StoreUnavailable
from projections.projection import Projection

# A table that is swapped in is another. When what was parked is tried again, rows change although
# no event has come.
GENERATIONS = """
select name, concat_ws('-', to_regclass(name)::oid, count, sum)
  from unnest(%s::text[]) name,
       (select count(*), sum(position) from projection_parked where side = 'live') parked
 where to_regclass(name) is not null
"""

POLL_SECONDS = 0.1  # other processes append too
LEAST_SECONDS = 0.02  # between two looks, however fast this process appends
ASLEEP_SECONDS = 10.0  # after so long without a question it stops to look
BLIND_SECONDS = 1.0  # after so long without a look nothing is believed
MOST_REMEMBERED = 200_000

log = structlog.get_logger(__name__)

Place = tuple[str, Any]


class Touched(AbstractAsyncContextManager["Touched"]):
    """Follows the log; entered, it knows of each row of some views when it was touched last."""

    def __init__(
        self, database_url: str, projections: Iterable[Projection], seconds: float
    ) -> None:
        """`seconds` is for how long rows are cached, and so for how long it has to remember."""
        self._projections, self._seconds = list(projections), seconds
        self._reader = NewsReader(database_url, keys=None, name="daybook cache")
        self._names = sorted({name for one in self._projections for name in one.event_names})
        self._told: Callable[[Place | None], None] = lambda _: None
        self._position: int | None = None
        self._horizon = 0  # what was read before it may have been touched unnoticed
        self._older_from = 0  # as far had the log been read when `_older` began
        self._looked = float("-inf")
        self._asked = float("-inf")
        self._began = time.monotonic()
        self._recent: dict[Place, int] = {}
        self._older: dict[Place, int] = {}
        self._generations: dict[str, str] = {}
        self._news, self._wanted = asyncio.Event(), asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def tell(self, told: Callable[[Place | None], None]) -> None:
        """Let somebody know of each place that is touched; None: it may have been any."""
        self._told = told

    def generation(self, table: Table) -> str | None:
        """Return which table it is that has the name now; None: not known, believe nothing."""
        self._asked = now = time.monotonic()
        if self._position is None:
            self._wanted.set()
        if now - self._looked > BLIND_SECONDS:
            return None
        return self._generations.get(table.name)

    def true_until(self, table: Table, key: Any, position: int) -> int | None:
        """Return up to which position a row is as it was read at one; None: it may be another."""
        place = table.name, key
        last = max(self._recent.get(place, 0), self._older.get(place, 0))
        return None if position < last else self.true_unless_touched(position)

    def true_unless_touched(self, position: int) -> int | None:
        """Return the same for a row of which it is known that no event was told that touches it."""
        return None if position < self._horizon else max(position, self._position or 0)

    def wake(self, _position: int) -> None:
        """Say that this process has appended; returns at once."""
        self._news.set()

    async def __aenter__(self) -> Self:
        """Begin to follow the log; Postgres may be away."""
        await self._reader.__aenter__()
        self._task = asyncio.create_task(self._follow(), name="touched")
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
        await self._reader.__aexit__(kind, error, traceback)

    async def _follow(self) -> None:
        while True:
            if time.monotonic() - self._asked > ASLEEP_SECONDS:
                await self._sleep()
            try:
                await self._look()
            except StoreUnavailable:
                await asyncio.sleep(BLIND_SECONDS)
            except Exception:
                log.exception("touched_unread")
                await asyncio.sleep(BLIND_SECONDS)
            await asyncio.sleep(LEAST_SECONDS)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(POLL_SECONDS - LEAST_SECONDS):
                    await self._news.wait()
            self._news.clear()

    async def _sleep(self) -> None:
        """Believe nothing any more, until somebody asks."""
        self._position, self._looked = None, float("-inf")
        self._recent, self._older = {}, {}
        self._told(None)
        self._wanted.clear()
        await self._wanted.wait()

    async def _look(self) -> None:
        began = time.monotonic()
        tables = [table.name for one in self._projections for table in one.tables]
        async with self._reader.lent() as connection:
            cursor = await connection.execute(GENERATIONS, [tables], prepare=True)
            generations = dict(await cursor.fetchall())
        if self._position is None:
            self._position = self._horizon = self._older_from = await self._reader.head()
            self._began = began
        full = True
        while full:
            batch = await self._reader.in_all(self._position, self._names)
            for news in batch.news:
                self._note(news)
            self._position, full = batch.reached, batch.full
        self._generations, self._looked = generations, began
        self._forget(began)

    def _note(self, news: News) -> None:
        try:
            event = news.event()
        except (UnknownEvent, UnreadableEvent):
            self._horizon = news.position  # it may concern any row
            self._told(None)
            return
        at = news.occurred_at
        recorded = Recorded(news.position, news.stream_id, news.version, event, at, at)
        for projection in self._projections:
            if type(event) in projection.event_types:
                for table, key in projection.needs(recorded):
                    self._recent[table.name, key[0]] = news.position
                    self._told((table.name, key[0]))

    def _forget(self, now: float) -> None:
        """Forget what was touched so long ago that no row in a cache is older.

        A row of a view that is further behind than that is not believed.
        """
        position = self._position or 0
        if len(self._recent) > MOST_REMEMBERED:
            self._horizon = self._older_from = position
            self._recent, self._older = {}, {}
        elif now - self._began > self._seconds:
            self._began = now
            self._horizon, self._older_from = max(self._horizon, self._older_from), position
            self._recent, self._older = {}, self._recent


def parked_in(generation: str) -> str:
    """Return how many events were parked, and the sum of their positions, in a generation."""
    return generation.partition("-")[2]
