"""The event store of a process that takes commands: load, append, find, open and close."""

from collections.abc import Callable, Sequence
from functools import partial
from uuid import UUID

from event_store import reading
from event_store.appender import Appender
from event_store.connections import borrowed, pool
from event_store.event_types import Event
from event_store.loader import Loaded, Loader, Wanted
from event_store.privacy.keyring import Keyring, hashed
from event_store.privacy.sealer import Sealer
from event_store.records import Append, Appended, Repeated, Snapshot


class EventStore:
    """The log for asynchronous callers. Everything raises `StoreUnavailable` within 5 seconds."""

    def __init__(
        self,
        database_url: str,
        *,
        keys: Keyring,
        on_append: Callable[[int], None],
        readers: int = 4,
    ) -> None:
        """`on_append` is told the newest position after each append of this process."""
        self._pool = pool(database_url, name="daybook find", size=readers)
        self._keys = keys
        self._sealer = Sealer(keys, partial(borrowed, self._pool))
        self._loader = Loader(database_url, keys)
        self._appender = Appender(database_url, on_append)

    async def open(self) -> None:
        """Start; Postgres may be away, then commands are answered so until it is back."""
        await self._pool.open(wait=False)
        self._loader.start()
        self._appender.start()

    async def close(self) -> None:
        """Append what is waiting and hang up."""
        await self._appender.close()
        await self._loader.close()
        await self._pool.close()

    async def load(self, stream_id: UUID) -> list[Event]:
        """Return the events of one stream in order; none if it does not exist."""
        return (await self._loader.load([Wanted(stream_id)]))[0].events

    async def load_after(self, wanted: Sequence[Wanted]) -> list[Loaded]:
        """Return what some streams hold beyond what is known of them: see `Loader.load`."""
        return await self._loader.load(wanted)

    async def keep_snapshot(self, snapshot: Snapshot) -> None:
        """Store the state of a stream at a version, in the place of an older one."""
        async with borrowed(self._pool) as connection:
            await reading.write_snapshot(connection, snapshot)

    async def find(self, scope: str, value: str, *, personal: bool = False) -> UUID | None:
        """Return the stream that holds a unique value."""
        async with borrowed(self._pool) as connection:
            if personal:
                value = hashed(await self._keys.lookup_async(connection), scope, value)
            return await reading.find_claim(connection, scope, value)

    async def fingerprint(self, caller: str, key: str) -> str | None:
        """Return that of the request that came under an idempotency key, None if none has."""
        async with borrowed(self._pool) as connection:
            return await reading.find_fingerprint(connection, caller, key)

    async def head(self) -> int:
        """Return the newest position of the log."""
        async with borrowed(self._pool) as connection:
            return await reading.head_async(connection)

    async def append(self, command: Append) -> Appended | Repeated:
        """Append one command's effect, its personal fields encrypted: see `Appender.append`."""
        return await self._appender.append(await self._sealer.sealed(command))
