"""Single rows by their keys: what is asked for while a statement is under way goes with the next.

A statement of its own for each row costs twenty times as much when many are asked for at once.
"""

import asyncio
from collections import defaultdict
from typing import Any

from psycopg_pool import AsyncConnectionPool
from sqlalchemy import Table

from event_store.connections import borrowed
from projections.projection import Projection
from projections.reading.queries import RowsByKey, rows_by_key
from projections.reading.row_cache import RowCache
from projections.reading.rows_in_redis import Seen
from projections.reading.touched import parked_in

MOST_A_CALL = 256


Asking = list["asyncio.Future[Seen]"]


class RowReader:
    """Reads rows of one table of a view, each as it was at a moment after it was asked for."""

    def __init__(
        self,
        connections: AsyncConnectionPool,
        projection: Projection,
        table: Table,
        cache: RowCache | None = None,
    ) -> None:
        self._connections, self._projection, self._table = connections, projection, table
        self._cache = cache
        self._waiting: defaultdict[Any, Asking] = defaultdict(list)
        self._least: dict[Any, int] = {}
        self._task: asyncio.Task[None] | None = None

    async def read(self, key: Any, least: int = 0) -> Seen:
        """Return the row with this primary key; `StoreUnavailable`.

        A cached one must have been read when the view had seen the position `least`.
        """
        if self._cache is not None:
            self._least[key] = max(least, self._least.get(key, 0))
        future: asyncio.Future[Seen] = asyncio.get_running_loop().create_future()
        self._waiting[key].append(future)
        if self._task is None:
            self._task = asyncio.create_task(self._read_all(), name=f"rows of {self._table.name}")
        return await future

    async def _read_all(self) -> None:
        try:
            while self._waiting:
                keys = list(self._waiting)[:MOST_A_CALL]
                await self._answer({key: self._waiting.pop(key) for key in keys})
        finally:
            self._task = None

    async def _answer(self, asking: dict[Any, Asking]) -> None:
        try:
            found = await self._found(list(asking))
        except Exception as error:  # noqa: BLE001 - it is for those who asked
            for future in (one for futures in asking.values() for one in futures):
                if not future.done():
                    future.set_exception(error)
            return
        for key, futures in asking.items():
            for future in futures:
                if not future.done():
                    future.set_result(found[key])

    async def _found(self, keys: list[Any]) -> dict[Any, Seen]:
        if self._cache is None:
            return seen_in(await self._read_table(keys), keys)
        found = await self._cache.find(self._table, {key: self._least.pop(key) for key in keys})
        if missing := [key for key in keys if key not in found]:
            generation = self._cache.generation(self._table)
            read = await self._read_table(missing)
            fresh = seen_in(read, missing)
            # What was parked since, and is not known of here, will be applied: then the table is
            # of this generation again, and the row is not as it is then.
            if generation is not None and parked_in(generation) == read.parked:
                await self._cache.keep(self._table, generation, fresh)
            found |= fresh
        return found

    async def _read_table(self, keys: list[Any]) -> RowsByKey:
        async with borrowed(self._connections) as connection:
            return await rows_by_key(connection, self._projection, self._table, keys)


def seen_in(read: RowsByKey, keys: list[Any]) -> dict[Any, Seen]:
    """Return what was seen of each key."""
    return {key: Seen(read.rows.get(key), read.position) for key in keys}
