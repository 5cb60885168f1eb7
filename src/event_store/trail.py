"""The trail of a process that answers auditors: the log's evidence, and the end of every wait."""

from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Self

from event_store.connections import borrowed, pool
from event_store.evidence import heads, proofs


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
        async with borrowed(self._pool) as connection:
            return await heads.newest_note_async(connection)

    async def public_keys(self) -> list[str]:
        """Return the keys that have signed heads."""
        async with borrowed(self._pool) as connection:
            return await heads.keys_async(connection)

    async def inclusion(self, position: int) -> proofs.InclusionProof | None:
        """Prove that an event is in the log: see `inclusion_proof`."""
        async with borrowed(self._pool) as connection:
            return await proofs.inclusion_proof(connection, position)

    async def consistency(self, first: int, second: int) -> proofs.ConsistencyProof | None:
        """Prove that one signed log continues another: see `consistency_proof`."""
        async with borrowed(self._pool) as connection:
            return await proofs.consistency_proof(connection, first, second)
