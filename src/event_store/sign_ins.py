"""Sign-ins as security records beside the log: kept for a time, and counted while they fail.

They are no events: whoever guesses passwords must not fill the log. Of an e-mail address they hold
a keyed hash (the account), of a password nothing.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, Literal
from uuid import UUID

import msgspec
import psycopg
from psycopg import AsyncConnection
from psycopg.rows import TupleRow

from event_store.connections import AWAY, pool
from event_store.records import StoreUnavailable

Kind = Literal[
    "signed_in", "failed", "locked_out", "refreshed", "reused", "signed_out", "keys_rotated"
]

LONGEST_AGENT = 300

WAIT = "select extract(epoch from sign_in_wait(%b, %b, %b, %b))::float8"
FAIL = "select extract(epoch from fail_sign_in(%b, %b, %b, %b, %b, %b, %b, %b))::float8"
ADD = """
insert into sign_ins (kind, account, user_id, session_id, network, address, agent, request_id)
values (%b, %b, %b, %b, %b, %b, %b, %b)
"""
# One record tells of any number of attempts that a lock turned away.
LOCK_OUT = """
insert into sign_ins (kind, account, network, address, agent, request_id)
select 'locked_out', %(account)s, %(network)s, %(address)s, %(agent)s, %(request_id)s
 where not exists (
     select from sign_ins
      where account = %(account)s and kind = 'locked_out' and network = %(network)s
        and at > clock_timestamp() - %(span)s
 )
"""


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """Where a request comes from: the address, the network that it is counted with, the program."""

    address: str = "unknown"
    network: str = "unknown"
    agent: str = ""
    request_id: str = ""


class FailureLimit(msgspec.Struct, frozen=True):
    """So many sign-ins may fail within a time."""

    most: int
    span: timedelta


class SignIns:
    """Records sign-ins and counts failures, exactly, over all processes.

    Everything raises `StoreUnavailable` when Postgres gives no answer: then nobody gets in.
    """

    def __init__(self, database_url: str, limit: FailureLimit | None, *, size: int = 4) -> None:
        """Without a `limit` any number of sign-ins may fail."""
        self.limit = limit
        self._pool = pool(database_url, name="daybook sign-ins", size=size)

    async def open(self) -> None:
        """Start; Postgres may be away."""
        await self._pool.open(wait=False)

    async def close(self) -> None:
        """Hang up."""
        await self._pool.close()

    async def wait(self, accounts: Sequence[str], network: str) -> float:
        """Return the seconds that an account or a network may not try; 0: it may."""
        if self.limit is None:
            return 0.0
        arguments = [list(accounts), network, self.limit.most, self.limit.span]
        return await self._seconds(WAIT, arguments)

    async def fail(self, accounts: Sequence[str], origin: Origin, user_id: UUID | None) -> float:
        """Record a failure and return 0, or return the seconds to wait if it is one too many."""
        most, span = (self.limit.most, self.limit.span) if self.limit else (None, None)
        arguments: list[Any] = [list(accounts), origin.network, most, span, user_id]
        return await self._seconds(FAIL, [*arguments, *described(origin)])

    async def lock_out(self, accounts: Sequence[str], origin: Origin) -> None:
        """Record that somebody was turned away, once for each account and network in the span."""
        assert self.limit is not None  # noqa: S101 - there is no lock without a limit
        address, agent, request_id = described(origin)
        async with self._connection() as connection:
            await connection.execute(
                LOCK_OUT,
                {
                    "account": accounts[0],
                    "network": origin.network,
                    "address": address,
                    "agent": agent,
                    "request_id": request_id,
                    "span": self.limit.span,
                },
                prepare=True,
            )

    async def add(
        self,
        kind: Kind,
        origin: Origin,
        *,
        account: str | None = None,
        user_id: UUID | None = None,
        session_id: UUID | None = None,
    ) -> None:
        """Record what came of a sign-in."""
        arguments = [kind, account, user_id, session_id, origin.network, *described(origin)]
        async with self._connection() as connection:
            await connection.execute(ADD, arguments, prepare=True)

    async def _seconds(self, query: str, arguments: Sequence[Any]) -> float:
        async with self._connection() as connection:
            row = await (await connection.execute(query, arguments, prepare=True)).fetchone()
        return max(0.0, row[0]) if row and row[0] is not None else 0.0

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[AsyncConnection[TupleRow]]:
        try:
            async with self._pool.connection() as connection:
                yield connection
        except psycopg.Error as error:
            raise StoreUnavailable(AWAY) from error


def described(origin: Origin) -> tuple[str, str, str]:
    """Return what is recorded of an origin besides its network."""
    return origin.address, origin.agent[:LONGEST_AGENT], origin.request_id
