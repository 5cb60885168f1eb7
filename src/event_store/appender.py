"""Group commit: one call of Postgres at a time appends whatever commands are waiting by then."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from uuid import UUID

import psycopg
import structlog
from psycopg import AsyncConnection
from psycopg.rows import TupleRow

from event_store.append_sql import CALL, Verdict, arguments, columns, verdicts
from event_store.connections import answered_by, connect_async, hung_up_at
from event_store.records import Append, Appended, Repeated, StoreOverloaded, StoreUnavailable

MOST_WAITING = 2_000
MOST_EVENTS_A_CALL = 2_000
DEADLINE_SECONDS = 5.0
# Every look-up of an append is by a key: a plan made while tables were small must not read them
# whole when they have grown, nor be thought over at each call.
STEADY_PLANS = {
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
}
UNSURE = "Postgres gave no answer in time: ask again, with the same idempotency key."
log = structlog.get_logger(__name__)

Waiting = tuple[Append, asyncio.Future[Appended | Repeated]]

FIND_COMMANDS = """
select e.command_id, max(e.position), max(e.recorded_at)
  from unnest(%b::uuid[], %b::int[], %b::uuid[]) as w (stream_id, version, command_id)
  join events e using (stream_id, version, command_id)
 group by e.command_id
"""


class Appender:
    """Appends commands in groups over a connection of its own; each writing process has one."""

    def __init__(self, database_url: str, on_append: Callable[[int], None]) -> None:
        """`on_append` is told the newest position after each group, on the event loop."""
        self._database_url = database_url
        self._on_append = on_append
        self._waiting: deque[Waiting] = deque()
        self._news = asyncio.Event()
        self._connection: AsyncConnection[TupleRow] | None = None
        self._closing = False
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to append; call it on the event loop that the commands come from."""
        self._task = asyncio.create_task(self._run(), name="appender")

    async def append(self, command: Append) -> Appended | Repeated:
        """Append one command, unless one came under its key before. It is on disk on return.

        Commands are appended in the order of the calls. Raises `VersionConflict`, `ClaimTaken`;
        within 5 seconds `StoreUnavailable` when the answer is not known; an error of psycopg or the
        codec for what Postgres can never hold.
        """
        if self._closing or len(self._waiting) >= MOST_WAITING:
            raise StoreOverloaded("Too many commands are waiting.")
        future: asyncio.Future[Appended | Repeated] = asyncio.get_running_loop().create_future()
        self._waiting.append((command, future))
        self._news.set()
        with answered_by(future, DEADLINE_SECONDS, UNSURE):
            return await future

    async def close(self) -> None:
        """Append what is still waiting, then stop."""
        self._closing = True
        self._news.set()
        if self._task is not None:
            await self._task
        if self._connection is not None:
            await self._connection.close()

    async def _run(self) -> None:
        while True:
            if not self._waiting:
                if self._closing:
                    return
                self._news.clear()
                await self._news.wait()
                continue
            await self._append_group(self._next_group())

    def _next_group(self) -> list[Waiting]:
        group: list[Waiting] = []
        keys: set[tuple[str, str]] = set()
        size = 0
        while self._waiting and size < MOST_EVENTS_A_CALL:
            command, future = self._waiting[0]
            key = (command.key.caller, command.key.key) if command.key else None
            if key in keys:
                break  # a group has a key once: the next one finds the answer
            self._waiting.popleft()
            if future.done():
                continue  # whoever asked has gone, or waits no longer, and nothing was sent
            if key is not None:
                keys.add(key)
            group.append((command, future))
            size += sum(len(change.events) for change in command.changes)
        return group

    async def _append_group(self, group: list[Waiting]) -> None:
        ends = asyncio.get_running_loop().time() + DEADLINE_SECONDS
        self._settle(group, await self._answers([command for command, _ in group], ends))

    def _settle(self, group: list[Waiting], answers: Sequence[Verdict | Exception]) -> None:
        newest = 0
        for (_, future), answer in zip(group, answers, strict=True):
            if isinstance(answer, Appended):
                newest = max(newest, answer.position)
            if future.done():
                continue
            if isinstance(answer, Appended | Repeated):
                future.set_result(answer)
            else:
                future.set_exception(answer)
        if newest:
            self._tell(newest)

    def _tell(self, position: int) -> None:
        try:
            self._on_append(position)
        except Exception as error:  # noqa: BLE001 - the log goes on, whoever can or cannot be told
            log.warning("news_not_told", error=type(error).__name__, position=position)

    async def _answers(self, commands: list[Append], ends: float) -> Sequence[Verdict | Exception]:
        if not commands:
            return []
        try:
            return await self._call(commands, ends)
        except Exception as error:  # noqa: BLE001 - the appender outlives what cannot be stored
            if not is_outage(error):
                return await self._apart(commands, ends, error)
            log.warning("append_unsure", error=type(error).__name__, commands=len(commands))
        if await self._was_refused():
            return unavailable(commands)
        # The connection broke: the group may be in the log or not, or come to be there while we ask
        # again. Then it is in its own way: what is refused now and found there has been appended.
        try:
            return await self._once_more(commands, ends)
        except Exception as error:  # noqa: BLE001 - as above
            log.warning("append_failed", error=type(error).__name__, commands=len(commands))
            await self._drop_connection()
            return unavailable(commands)

    async def _apart(
        self, commands: list[Append], ends: float, error: Exception
    ) -> Sequence[Verdict | Exception]:
        """Append in halves: what Postgres cannot hold must not fail its neighbours."""
        if len(commands) == 1:
            log.warning("append_refused", error=type(error).__name__)
            return [error]
        middle = len(commands) // 2
        first = await self._answers(commands[:middle], ends)
        return [*first, *await self._answers(commands[middle:], ends)]

    async def _was_refused(self) -> bool:
        """Tell whether Postgres itself said no, so that nothing of the group is in the log."""
        refused = self._connection is not None and not self._connection.closed
        await self._drop_connection()
        return refused

    async def _call(self, commands: list[Append], ends: float) -> list[Verdict]:
        values = arguments(commands)
        async with self._connected(ends) as connection:
            cursor = await connection.execute(CALL, values, prepare=True)
            return verdicts(commands, await cursor.fetchall())

    async def _once_more(self, commands: list[Append], ends: float) -> list[Verdict]:
        answers = await self._call(commands, ends)
        again = list(zip(commands, answers, strict=True))
        refused = [one for one, answer in again if isinstance(answer, Exception)]
        found = await self._found(refused, ends) if refused else {}
        return [found.get(command.command_id, answer) for command, answer in again]

    async def _found(self, commands: list[Append], ends: float) -> dict[UUID, Appended]:
        """Tell which of some commands are in the log."""
        writes = [
            (change.stream_id, change.expected_version + len(change.events), command.command_id)
            for command in commands
            for change in command.changes
            if change.events
        ]
        async with self._connected(ends) as connection:
            cursor = await connection.execute(FIND_COMMANDS, columns(writes, 3))
            return {row[0]: Appended(row[1], row[2]) for row in await cursor.fetchall()}

    @asynccontextmanager
    async def _connected(self, ends: float) -> AsyncIterator[AsyncConnection[TupleRow]]:
        if self._connection is None or self._connection.closed:
            async with asyncio.timeout_at(ends):
                self._connection = await connect_async(
                    self._database_url, name="daybook append", session=STEADY_PLANS
                )
        with hung_up_at(self._connection, ends):
            yield self._connection

    async def _drop_connection(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()


def is_outage(error: Exception) -> bool:
    """Tell whether the server or the way to it is at fault, and not one command's value."""
    unfit = (psycopg.DataError, psycopg.IntegrityError, psycopg.errors.ProgramLimitExceeded)
    return isinstance(error, psycopg.Error | TimeoutError) and not isinstance(error, unfit)


def unavailable(commands: Sequence[Append]) -> list[StoreUnavailable]:
    """Return the answer for commands of which nobody knows more, one for each."""
    return [StoreUnavailable(UNSURE) for _ in commands]
