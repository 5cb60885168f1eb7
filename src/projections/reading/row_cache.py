"""Rows of the views in this process, and perhaps in Redis, below all permissions.

Whoever may see what is decided from the row, cached or not. What comes out was true when its view
had seen the position that goes with it: no event that concerns the row has come since, up to there.
"""

import time
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Any, NamedTuple, Self

from sqlalchemy import Table

from projections.reading.rows_in_redis import RowsInRedis, Seen
from projections.reading.touched import Place, Touched

MOST_ROWS = 10_000  # of a kilobyte each


class Kept(NamedTuple):
    """A row in memory: which table it is of, and until when (monotonic) it may be used."""

    seen: Seen
    generation: str
    until: float


class RowCache(AbstractAsyncContextManager["RowCache"]):
    """Finds and keeps rows for a while."""

    def __init__(
        self,
        touched: Touched,
        seconds: float,
        redis: RowsInRedis | None = None,
        *,
        most: int = MOST_ROWS,
    ) -> None:
        """Keep at most so many rows here, each for so many seconds, and more of them in Redis."""
        self._touched, self._seconds, self._redis, self._most = touched, seconds, redis, most
        self._kept: dict[Place, Kept] = {}
        touched.tell(self._drop)

    def wake(self, position: int) -> None:
        """Say that this process has appended; returns at once."""
        self._touched.wake(position)

    async def __aenter__(self) -> Self:
        """Follow the log when rows are asked for; Postgres and Redis may be away."""
        await self._touched.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Hang up."""
        await self._touched.__aexit__(kind, error, traceback)
        if self._redis is not None:
            await self._redis.close()

    @property
    def places(self) -> list[Place]:
        """Which rows are in this process, the one that was read longest ago first."""
        return list(self._kept)

    def near(self, table: Table, key: Any, least: int) -> Seen | None:
        """Return a row that is here and still true, at a position of at least `least`."""
        generation = self._touched.generation(table)
        kept = self._kept.get((table.name, key))
        if kept is None or kept.generation != generation or kept.until < time.monotonic():
            return None
        # What an event has touched is not here any more: it need not be looked up once more.
        position = self._touched.true_unless_touched(kept.seen.position)
        return None if position is None or position < least else Seen(kept.seen.row, position)

    async def find(self, table: Table, wanted: Mapping[Any, int]) -> dict[Any, Seen]:
        """Return those rows that are in Redis and still true; `wanted` has each's least position.

        From now on they are here, too.
        """
        generation = self._touched.generation(table)
        if generation is None or self._redis is None:
            return {}
        found = await self._redis.find(table, generation, wanted)
        self._remember(table, generation, found)
        true = (
            (key, self._still_true(table, key, seen, wanted[key])) for key, seen in found.items()
        )
        return {key: seen for key, seen in true if seen is not None}

    async def keep(self, table: Table, generation: str, found: Mapping[Any, Seen]) -> None:
        """Keep rows that were read while the table was of this generation."""
        self._remember(table, generation, found)
        if self._redis is not None:
            await self._redis.keep(table, generation, found)

    def generation(self, table: Table) -> str | None:
        """Return what `keep` wants to know; to be asked before the rows are read."""
        return self._touched.generation(table)

    def _still_true(self, table: Table, key: Any, seen: Seen, least: int) -> Seen | None:
        position = self._touched.true_until(table, key, seen.position)
        return None if position is None or position < least else Seen(seen.row, position)

    def _remember(self, table: Table, generation: str, found: Mapping[Any, Seen]) -> None:
        until = time.monotonic() + self._seconds
        for key, seen in found.items():
            if seen.row is not None and self._still_true(table, key, seen, 0):
                self._kept.pop((table.name, key), None)
                self._kept[table.name, key] = Kept(seen, generation, until)
        while len(self._kept) > self._most:
            del self._kept[next(iter(self._kept))]  # the one that was read longest ago

    def _drop(self, place: Place | None) -> None:
        """Forget a row that an event has touched, all if it cannot be said which."""
        if place is None:
            self._kept.clear()
        else:
            self._kept.pop(place, None)
