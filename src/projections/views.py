"""The views of a process that answers questions: a few connections, and an end to every wait."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from types import TracebackType
from typing import Self

import psycopg
from psycopg import AsyncConnection
from psycopg.rows import TupleRow
from sqlalchemy import Table

from event_store.connections import hung_up_at, pool
from event_store.records import StoreUnavailable
from projections.listing import Listing, Page, Request, list_rows, one_row
from projections.projection import Key, Projection, Row

AWAY = "Postgres is not to be reached."
LOST = (psycopg.OperationalError, psycopg.InterfaceError)
READING_SECONDS = 3.0  # and two to get a connection


class Views(AbstractAsyncContextManager["Views"]):
    """Reads the views; everything raises `StoreUnavailable` within 5 seconds.

    Entered, it has a pool of connections; Postgres may be away then and come later.
    """

    def __init__(self, database_url: str, *, readers: int = 4) -> None:
        self._pool = pool(database_url, name="daybook views", size=readers)

    async def __aenter__(self) -> Self:
        """Start to connect."""
        await self._pool.open(wait=False)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Hang up."""
        await self._pool.close()

    async def list(self, listing: Listing, request: Request) -> Page:
        """Return a page of a list, its total and its position."""
        async with self._connection() as connection:
            return await list_rows(connection, listing, request)

    async def one(self, projection: Projection, table: Table, key: Key) -> tuple[Row | None, int]:
        """Return the row with a primary key, if there is one, and the position of the view."""
        async with self._connection() as connection:
            return await one_row(connection, projection, table, key)

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[AsyncConnection[TupleRow]]:
        try:
            async with self._pool.connection() as connection:
                ends = asyncio.get_running_loop().time() + READING_SECONDS
                with hung_up_at(connection, ends):
                    yield connection
        except LOST as error:
            raise StoreUnavailable(AWAY) from error
