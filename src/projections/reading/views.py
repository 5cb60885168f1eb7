"""The views of a process that answers questions: a few connections, and an end to every wait."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from copy import copy
from types import TracebackType
from typing import NamedTuple, Self, TypeVar

from psycopg import AsyncConnection
from psycopg.rows import TupleRow
from sqlalchemy import Table

from event_store.connections import borrowed, pool
from projections.listing import Listing, Page, Part, Request, Stretch, has_one_plan
from projections.posting.progress import Progress
from projections.projection import Key, Projection, Row
from projections.reading.queries import list_rows, list_stretch
from projections.reading.row_cache import RowCache
from projections.reading.row_reader import RowReader
from projections.reading.totals import Totals

# For a view that was there and is behind again: read from a replica that lags, or rolled back.
SECONDS_BETWEEN_READS = 0.02

Found = TypeVar("Found")
Question = Callable[[AsyncConnection[TupleRow]], Awaitable[tuple[Found, int]]]


class ViewBehind(Exception):  # noqa: N818 - an answer of the view
    """A view has not come to the position that its reader insists on, in the time he gives it."""

    def __init__(self, projection: Projection, position: int, seen: int) -> None:
        self.projection, self.position, self.seen = projection, position, seen
        super().__init__(f"View {projection.name} is at {seen}, behind {position}.")


class Demand(NamedTuple):
    """The position that answers must have seen, and until when to wait (the loop's clock)."""

    position: int
    ends: float


class Views(AbstractAsyncContextManager["Views"]):
    """Reads the views; everything raises `StoreUnavailable` within 5 seconds.

    Entered, it has a pool of connections; Postgres may be away then and come later.
    """

    def __init__(
        self, database_url: str, *, readers: int = 3, cache: RowCache | None = None
    ) -> None:
        """Single rows and lists have connections of their own: neither has to wait for the other.

        A list is planned for its very values: a plan for any values at all would search a rare
        word as if it were a common one. But the beginning of one, which most clients ask for, is
        read as rows are, by a plan that is kept.
        """
        self._rows = pool(database_url, name="daybook views", size=readers)
        self._lists = pool(
            database_url,
            name="daybook lists",
            size=readers,
            plan_cache_mode="force_custom_plan",
        )
        self._cache = cache
        self._totals = Totals()
        self._readers: dict[Table, RowReader] = {}
        self._progress = Progress(database_url)
        self._demand: Demand | None = None

    async def __aenter__(self) -> Self:
        """Start to connect."""
        if self._cache is not None:
            await self._cache.__aenter__()
        await self._rows.open(wait=False)
        await self._lists.open(wait=False)
        await self._progress.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Hang up."""
        await self._progress.__aexit__(kind, error, traceback)
        await self._rows.close()
        await self._lists.close()
        if self._cache is not None:
            await self._cache.__aexit__(kind, error, traceback)

    def insisting(self, position: int, seconds: float) -> Self:
        """Return these views for one reader: each answer has seen `position`, or is `ViewBehind`.

        He waits for so many seconds at most, from now, however much he asks.
        """
        his = copy(self)
        his._demand = Demand(position, asyncio.get_running_loop().time() + seconds)  # noqa: SLF001 - our own
        return his

    @property
    def insisted(self) -> int:
        """The position that an answer must have seen, also one from a cache; 0: any will do."""
        return self._demand.position if self._demand else 0

    async def list(self, listing: Listing, request: Request) -> Page:
        """Return a page of a list, its total and its position."""

        async def ask(connection: AsyncConnection[TupleRow]) -> tuple[Page, int]:
            page = await list_rows(connection, listing, request, self._totals)
            return page, page.position

        many = not has_one_plan(listing, request)
        page, _ = await self.answer([listing.projection], ask, many=many)
        return page

    async def stretch(self, listing: Listing, asked: Stretch) -> Part:
        """Return a part of a list, after or before a place in it."""

        async def ask(connection: AsyncConnection[TupleRow]) -> tuple[Part, int]:
            part = await list_stretch(connection, listing, asked)
            return part, part.position

        many = not has_one_plan(listing, asked)
        part, _ = await self.answer([listing.projection], ask, many=many)
        return part

    async def one(self, projection: Projection, table: Table, key: Key) -> tuple[Row | None, int]:
        """Return the row with a primary key, if there is one, and the position of the view."""
        if self._cache is not None:
            near = self._cache.near(table, key[0], self.insisted)
            if near is not None:
                return near
        if table not in self._readers:
            self._readers[table] = RowReader(self._rows, projection, table, self._cache)
        reader = self._readers[table]
        return await self._seen([projection], lambda: reader.read(key[0], self.insisted))

    async def answer(
        self,
        projections: Sequence[Projection],
        question: Question[Found],
        *,
        many: bool = False,
    ) -> tuple[Found, int]:
        """Ask a question of some views; every read but of single rows goes this way.

        The question returns what it found and the position that all of the views had seen, both of
        one statement. It is asked again, if need be, when they have come as far as is insisted on.
        `many` says that it is about more than a row.
        """

        async def ask() -> tuple[Found, int]:
            async with borrowed(self._lists if many else self._rows) as connection:
                return await question(connection)

        return await self._seen(projections, ask)

    async def _seen(
        self, projections: Sequence[Projection], ask: Callable[[], Awaitable[tuple[Found, int]]]
    ) -> tuple[Found, int]:
        pause = 0.0
        while True:
            found, seen = await ask()
            if self._demand is None or seen >= self._demand.position:
                return found, seen
            await asyncio.sleep(pause)
            pause = SECONDS_BETWEEN_READS
            for one in projections:
                if not await self._progress.reached(one, *self._demand):
                    raise ViewBehind(one, self._demand.position, seen)
