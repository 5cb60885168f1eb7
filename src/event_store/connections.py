"""How Daybook connects to Postgres: limits on every wait, one pool of asynchronous connections."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, suppress
from types import MappingProxyType, TracebackType
from typing import Any, Self

import psycopg
from psycopg import AsyncConnection, Connection, conninfo
from psycopg.rows import TupleRow
from psycopg_pool import AsyncConnectionPool

from event_store.records import StoreUnavailable

AWAY = "Postgres is not to be reached."
LOST = (psycopg.OperationalError, psycopg.InterfaceError)
# Also a session that the server ended because its process was frozen in a transaction.
LOST_OR_ENDED = (*LOST, psycopg.InternalError)
# Whoever logs in, the application acts in this role: it reads the log, and appends by its function.
APPLICATION_ROLE = "daybook_app"
CONNECT_SECONDS = 2
STATEMENT_MS = 5_000
NO_MORE: Mapping[str, str] = MappingProxyType({})
READING_SECONDS = 3.0  # and two to get a connection
# A server that is frozen or cut off sends nothing: TCP has to give up by itself (seconds).
TCP = {"keepalives_idle": "5", "keepalives_interval": "2", "keepalives_count": "3"}


def bounded(database_url: str, *, name: str, statement_ms: int = STATEMENT_MS, **more: str) -> str:
    """Return connection info in which every wait ends; `name` shows in pg_stat_activity.

    `more` are parameters of the session.
    """
    session = {
        "role": APPLICATION_ROLE,
        "statement_timeout": statement_ms,
        "lock_timeout": 2_000,
        "idle_in_transaction_session_timeout": 30_000,
        "timezone": "UTC",
        "datestyle": "ISO",
        "jit": "off",
        **more,
    }
    options = " ".join(f"-c {key}={value}" for key, value in session.items())
    return conninfo.make_conninfo(
        database_url,
        connect_timeout=CONNECT_SECONDS,
        application_name=name,
        tcp_user_timeout=STATEMENT_MS,
        options=options,
        **TCP,
    )


def connect(
    database_url: str, *, name: str, statement_ms: int = STATEMENT_MS, **more: str
) -> Connection[TupleRow]:
    """Open a synchronous connection in autocommit; blocks are opened with `transaction()`."""
    address = bounded(database_url, name=name, statement_ms=statement_ms, **more)
    return Connection.connect(address, autocommit=True)


async def connect_async(
    database_url: str, *, name: str, session: Mapping[str, str] = NO_MORE
) -> AsyncConnection[TupleRow]:
    """Open an asynchronous connection in autocommit; `session` are parameters of it."""
    address = bounded(database_url, name=name, statement_ms=STATEMENT_MS, **session)
    return await AsyncConnection.connect(address, autocommit=True)


@contextmanager
def hung_up_at(connection: AsyncConnection[TupleRow], moment: float) -> Iterator[None]:
    """Hang up when the block still waits for Postgres at a moment of the event loop's clock.

    A task that is cancelled instead first asks the server to cancel, and waits 10 seconds for one
    that says nothing.
    """
    timer = asyncio.get_running_loop().call_at(moment, hang_up, connection)
    try:
        yield
    finally:
        timer.cancel()


@contextmanager
def answered_by(future: "asyncio.Future[Any]", seconds: float, otherwise: str) -> Iterator[None]:
    """Give a future the answer `StoreUnavailable(otherwise)` if it has none in time.

    A timer on the future itself is a tenth of the price of a timeout on the task.
    """
    timer = asyncio.get_running_loop().call_later(seconds, give_up, future, otherwise)
    try:
        yield
    finally:
        timer.cancel()


def give_up(future: "asyncio.Future[Any]", reason: str) -> None:
    """Let nobody wait for a future any longer."""
    if not future.done():
        future.set_exception(StoreUnavailable(reason))


def hang_up(connection: AsyncConnection[TupleRow]) -> None:
    """Shut the socket, so that whoever waits for it gets an `OperationalError` at once."""
    if connection.closed:
        return
    with suppress(OSError), socket.socket(fileno=os.dup(connection.fileno())) as line:
        line.shutdown(socket.SHUT_RDWR)


def pool(database_url: str, *, name: str, size: int, **session: str) -> AsyncConnectionPool:
    """Make a pool, not yet open, that waits two seconds for a connection and no longer."""
    return AsyncConnectionPool(
        bounded(database_url, name=name, statement_ms=STATEMENT_MS, **session),
        min_size=1,
        max_size=size,
        timeout=2,
        # After a second's trying the next caller tries: the pool's own pauses grow to minutes.
        reconnect_timeout=1,
        open=False,
        kwargs={"autocommit": True},
        name=name,
    )


class Pooled(AbstractAsyncContextManager[Any]):
    """Whatever has a pool of connections while it is entered; Postgres may be away then."""

    def __init__(self, connections: AsyncConnectionPool) -> None:
        self._pool = connections

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

    @asynccontextmanager
    async def lent(self) -> AsyncIterator[AsyncConnection[TupleRow]]:
        """Lend a connection for a short reading."""
        async with borrowed(self._pool) as connection:
            yield connection


@asynccontextmanager
async def borrowed(connections: AsyncConnectionPool) -> AsyncIterator[AsyncConnection[TupleRow]]:
    """Lend a connection of a pool for a short reading; `StoreUnavailable` within 5 seconds."""
    try:
        async with connections.connection() as connection:
            ends = asyncio.get_running_loop().time() + READING_SECONDS
            with hung_up_at(connection, ends):
                yield connection
    except LOST as error:
        raise StoreUnavailable(AWAY) from error
