"""Which access tokens no longer count: followed from the log, so that no request has to ask."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from datetime import timedelta
from uuid import UUID

import msgspec
import psycopg
import structlog
from psycopg import AsyncConnection
from psycopg.rows import TupleRow

from api.tokens import LIFETIME_SECONDS
from event_store.connections import connect_async
from event_store.reading import Revocation, last_before, revocations_after
from event_store.records import StoreUnavailable

POLL_SECONDS = 0.25
PATIENCE_SECONDS = 3.0  # how long one look may take
BLIND_SECONDS = 5.0  # how long requests are believed without a look
# Longer than a token lives, so that clocks of two machines need not agree.
REMEMBERED_SECONDS = LIFETIME_SECONDS + 600
FORGET_EVERY_SECONDS = 60.0

log = structlog.get_logger(__name__)


class Stand(msgspec.Struct):
    """What ended a user's tokens: all issued before a position; others but one session's."""

    learned: float
    all_before: int = 0
    others_before: int = 0
    kept_session: UUID | None = None


class Revocations:
    """Follows the log four times a second; `revoked` answers from memory."""

    def __init__(
        self, database_url: str, on_forgotten: Callable[[UUID], None] = lambda _: None
    ) -> None:
        """`on_forgotten` is told of each user who is forgotten, here or elsewhere."""
        self._database_url = database_url
        self._on_forgotten = on_forgotten
        self._connection: AsyncConnection[TupleRow] | None = None
        self._position: int | None = None
        self._looked = float("-inf")
        self._forgot = time.monotonic()
        self._sessions: dict[UUID, float] = {}
        self._users: dict[UUID, Stand] = {}

    def revoked(self, user_id: UUID, session_id: UUID, position: int) -> bool:
        """Tell whether a token issued at a position is void; `StoreUnavailable` if not known."""
        if time.monotonic() - self._looked > BLIND_SECONDS:
            raise StoreUnavailable("The log has not been read for too long to trust a token.")
        if session_id in self._sessions:
            return True
        stand = self._users.get(user_id)
        if stand is None:
            return False
        others = stand.others_before > position and stand.kept_session != session_id
        return others or stand.all_before > position

    def learn(self, news: Iterable[Revocation]) -> None:
        """Take what ended; also called for commands of this process, so that it knows at once."""
        now = time.monotonic()
        for ended in news:
            if ended.name == "session.ended":
                self._sessions[ended.stream_id] = now
                continue
            if ended.name == "user.forgotten":
                self._on_forgotten(ended.stream_id)
            stand = self._users.setdefault(ended.stream_id, Stand(now))
            stand.learned = now
            if ended.kept_session is None:
                stand.all_before = max(stand.all_before, ended.position)
            elif ended.position > stand.others_before:
                stand.others_before = ended.position
                stand.kept_session = ended.kept_session

    @asynccontextmanager
    async def following(self) -> AsyncIterator[None]:
        """Follow the log while the block runs; it is entered after the first look, good or not."""
        await self._try_to_look()
        task = asyncio.create_task(self._follow(), name="revocations")
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            await self._hang_up()

    async def _follow(self) -> None:
        while True:
            await asyncio.sleep(POLL_SECONDS)
            await self._try_to_look()

    async def _try_to_look(self) -> None:
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await self._look()
        except (psycopg.Error, TimeoutError, OSError) as error:
            log.warning("revocations_unread", error=type(error).__name__)
            await self._hang_up()

    async def _look(self) -> None:
        started = time.monotonic()
        if self._connection is None:
            self._connection = await connect_async(self._database_url, name="daybook revocations")
        if self._position is None:
            self._position = await last_before(
                self._connection, timedelta(seconds=REMEMBERED_SECONDS)
            )
        self._position, news = await revocations_after(self._connection, self._position)
        self.learn(news)
        self._looked = started
        if started - self._forgot > FORGET_EVERY_SECONDS:
            self._forget(started)

    def _forget(self, now: float) -> None:
        self._forgot = now
        oldest = now - REMEMBERED_SECONDS
        self._sessions = {key: at for key, at in self._sessions.items() if at > oldest}
        self._users = {key: one for key, one in self._users.items() if one.learned > oldest}

    async def _hang_up(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()
