"""The trail of a process that answers auditors: the log's evidence, and the end of every wait."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from types import TracebackType
from typing import Self

import psycopg
from psycopg import AsyncConnection
from psycopg.rows import TupleRow

from event_store.connections import hung_up_at, pool
from event_store.evidence import heads, proofs
from event_store.records import StoreUnavailable

AWAY = "Postgres is not to be reached."
LOST = (psycopg.OperationalError, psycopg.InterfaceError)
READING_SECONDS = 3.0  # and two to get a connection


class Trail(AbstractAsyncContextManager["Trail"]):
    """Answers auditors; everything raises `StoreUnavailable` within 5 seconds.

    Entered, it has a pool of connections; Postgres may be away then and come later.
    """

    def __init__(self, database_url: str, *, readers: int = 2) -> None:
        self._pool = pool(database_url, name="daybook audit", size=readers)

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

    async def newest_head(self) -> str | None:
        """Return the newest signed head, None while there is none."""
        async with self._connection() as connection:
            return await heads.newest_note_async(connection)

    async def public_keys(self) -> list[str]:
        """Return the keys that have signed heads."""
        async with self._connection() as connection:
            return await heads.keys_async(connection)

    async def inclusion(self, position: int) -> proofs.InclusionProof | None:
        """Prove that an event is in the log: see `inclusion_proof`."""
        async with self._connection() as connection:
            return await proofs.inclusion_proof(connection, position)

    async def consistency(self, first: int, second: int) -> proofs.ConsistencyProof | None:
        """Prove that one signed log continues another: see `consistency_proof`."""
        async with self._connection() as connection:
            return await proofs.consistency_proof(connection, first, second)

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[AsyncConnection[TupleRow]]:
        try:
            async with self._pool.connection() as connection:
                ends = asyncio.get_running_loop().time() + READING_SECONDS
                with hung_up_at(connection, ends):
                    yield connection
        except LOST as error:
            raise StoreUnavailable(AWAY) from error
