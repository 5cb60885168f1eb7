"""Commands on their way to the log: each is encrypted where it has to be, none overtakes another.

Where all keys are known nobody waits. While one is made, whoever comes waits in line, and all keys
that the line needs by then are made in one statement.
"""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from psycopg import AsyncConnection
from psycopg.rows import TupleRow

from event_store.privacy import sealing
from event_store.privacy.keyring import Key, Keyring, Keys
from event_store.records import Append, StoreOverloaded

MOST_WAITING = 2_000

Lend = Callable[[], AbstractAsyncContextManager[AsyncConnection[TupleRow]]]


class Sealer:
    """Encrypts what is personal in the commands of one event loop."""

    def __init__(self, keys: Keyring, lend: Lend) -> None:
        """`lend` gives a connection for the length of a block."""
        self._keys, self._lend = keys, lend
        self._waiting: list[tuple[Append, asyncio.Future[Append]]] = []
        self._in_line = 0
        self._task: asyncio.Task[None] | None = None

    async def sealed(self, command: Append) -> Append:
        """Return a command as it may be stored; callers get theirs in the order of the calls.

        Raises `StoreUnavailable` when a key cannot be made, and what the master keys raise.
        """
        if not self._in_line:
            found = self._at_once(command)
            if found is not None:
                return found
        if self._in_line >= MOST_WAITING:
            raise StoreOverloaded("Too many commands are waiting.")
        future: asyncio.Future[Append] = asyncio.get_running_loop().create_future()
        self._waiting.append((command, future))
        self._in_line += 1
        if self._task is None:
            self._task = asyncio.create_task(self._serve(), name="sealer")
        try:
            return await future
        finally:
            # Whoever awaits this goes on to the appender without a pause: nobody comes in between.
            self._in_line -= 1

    def _at_once(self, command: Append) -> Append | None:
        subjects = sealing.subjects_of(command)
        claims = sealing.has_personal_claims(command)
        if not subjects and not claims:
            return command
        keys = self._keys.known(subjects)
        if keys.keys() != subjects or (claims and self._keys.lookup is None):
            return None
        return sealing.sealed(command, keys, self._keys.lookup)

    async def _serve(self) -> None:
        try:
            while self._waiting:
                group, self._waiting = self._waiting, []
                await self._serve_group(group)
        finally:
            self._task = None

    async def _serve_group(self, group: list[tuple[Append, asyncio.Future[Append]]]) -> None:
        subjects = set().union(*(sealing.subjects_of(command) for command, _ in group))
        keys: Keys = {}
        lookup: Key | None = None
        trouble: Exception | None = None
        try:
            async with self._lend() as connection:
                # First, as it tells whether this process has the master key of this database.
                lookup = await self._keys.lookup_async(connection)
                keys = await self._keys.make_async(connection, subjects)
        except Exception as error:  # noqa: BLE001 - it is theirs who need a key
            trouble = error
        for command, future in group:
            if not future.done():
                settle(future, command, keys, lookup, trouble)


def settle(
    future: "asyncio.Future[Append]",
    command: Append,
    keys: Keys,
    lookup: Key | None,
    trouble: Exception | None,
) -> None:
    """Give one who waits the command as it may be stored, or the reason why there is none."""
    needs = bool(sealing.subjects_of(command)) or sealing.has_personal_claims(command)
    if trouble is not None and needs:
        future.set_exception(trouble)
        return
    try:
        future.set_result(sealing.sealed(command, keys, lookup))
    except Exception as error:  # noqa: BLE001 - it is this command's
        future.set_exception(error)
