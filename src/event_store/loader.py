"""Loading in groups: one query at a time reads whatever streams are wanted by then."""

import asyncio
from collections.abc import Sequence
from uuid import UUID

import msgspec
import psycopg
import structlog
from psycopg import AsyncConnection
from psycopg.rows import TupleRow

from event_store.connections import AWAY, answered_by, connect_async, hung_up_at
from event_store.event_types import EVENT_TYPES, Event, decode
from event_store.privacy.keyring import Keyring, Keys
from event_store.privacy.sealing import opener, subjects_in_rows
from event_store.records import StoreUnavailable

DEADLINE_SECONDS = 5.0
MOST_STREAMS_A_QUERY = 500

log = structlog.get_logger(__name__)

# A snapshot counts if it is of the state's present schema and newer than what the asker has.
LOAD = """
select w.number, s.version, s.tip, s.state::text,
       e.name, e.schema_version, e.data::text, e.position, e.command_id
  from unnest(%b::uuid[], %b::int[], %b::text[]) with ordinality
       as w (stream_id, after, fingerprint, number)
  left join snapshots s
    on s.stream_id = w.stream_id and s.fingerprint = w.fingerprint and s.version > w.after
  left join events e
    on e.stream_id = w.stream_id and e.version > coalesce(s.version, w.after)
 order by w.number, e.version
"""


class Wanted(msgspec.Struct, frozen=True):
    """A stream to load, from the event after a version on; '' as fingerprint: no snapshot."""

    stream_id: UUID
    after: int = 0
    fingerprint: str = ""


class Loaded(msgspec.Struct):
    """What a stream holds after `base`: the version asked for, or that of the snapshot's state.

    `tip` is the command that wrote the last event, None if nothing was read.
    """

    base: int
    state: str | None = None
    events: list[Event] = []
    tip: UUID | None = None


Waiting = tuple[Sequence[Wanted], asyncio.Future[list[Loaded]]]


class Loader:
    """Loads streams in groups over a connection of its own; each writing process has one."""

    def __init__(self, database_url: str, keys: Keyring) -> None:
        self._database_url = database_url
        self._keys = keys
        self._waiting: list[Waiting] = []
        self._news = asyncio.Event()
        self._connection: AsyncConnection[TupleRow] | None = None
        self._closing = False
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to load; call it on the event loop that the askers are on."""
        self._task = asyncio.create_task(self._run(), name="loader")

    async def load(self, wanted: Sequence[Wanted]) -> list[Loaded]:
        """Return what each stream holds, in the order asked; nothing for one that does not exist.

        Raises `StoreUnavailable` within 5 seconds, `UnknownEvent` for what a newer release wrote.
        """
        if not wanted:
            return []
        future: asyncio.Future[list[Loaded]] = asyncio.get_running_loop().create_future()
        self._waiting.append((wanted, future))
        self._news.set()
        with answered_by(future, DEADLINE_SECONDS, AWAY):
            return await future

    async def close(self) -> None:
        """Load what is still wanted, then stop."""
        self._closing = True
        self._news.set()
        if self._task is not None:
            await self._task
        await self._drop_connection()

    async def _run(self) -> None:
        while not (self._closing and not self._waiting):
            if not self._waiting:
                self._news.clear()
                await self._news.wait()
                continue
            await self._load_group(self._next_group())

    def _next_group(self) -> list[Waiting]:
        group: list[Waiting] = []
        size = 0
        while self._waiting and size < MOST_STREAMS_A_QUERY:
            wanted, future = self._waiting.pop(0)
            if not future.done():
                group.append((wanted, future))
                size += len(wanted)
        return group

    async def _load_group(self, group: list[Waiting]) -> None:
        try:
            rows = await self._rows([one for wanted, _ in group for one in wanted])
            self._notice([one for wanted, _ in group for one in wanted], rows)
            keys = await self._keys_for(rows)
        except (psycopg.Error, OSError, TimeoutError) as error:
            log.warning("load_failed", error=type(error).__name__, askers=len(group))
            await self._drop_connection()
            for _, future in group:
                if not future.done():
                    future.set_exception(StoreUnavailable(AWAY))
            return
        first = 0
        for wanted, future in group:
            settle(future, wanted, rows[first : first + len(wanted)], keys)
            first += len(wanted)

    async def _rows(self, wanted: list[Wanted]) -> list[list[TupleRow]]:
        if not wanted:
            return []
        ends = asyncio.get_running_loop().time() + DEADLINE_SECONDS - 1
        if self._connection is None or self._connection.closed:
            async with asyncio.timeout_at(ends):
                self._connection = await connect_async(self._database_url, name="daybook load")
        arguments = [
            [one.stream_id for one in wanted],
            [one.after for one in wanted],
            [one.fingerprint for one in wanted],
        ]
        with hung_up_at(self._connection, ends):
            cursor = await self._connection.execute(LOAD, arguments, prepare=True)
            found = await cursor.fetchall()
        rows: list[list[TupleRow]] = [[] for _ in wanted]
        for row in found:
            rows[row[0] - 1].append(row)
        return rows

    def _notice(self, wanted: list[Wanted], rows: list[list[TupleRow]]) -> None:
        read = zip(wanted, rows, strict=True)
        self._keys.notice((row[4], one.stream_id) for one, found in read for row in found)

    async def _keys_for(self, rows: list[list[TupleRow]]) -> Keys | Exception:
        """Return the keys of whomever the events are about, or why they cannot be had."""
        stored = (row[4:7] for found in rows for row in found if row[4] is not None)
        subjects = subjects_in_rows(stored)
        if not subjects or self._connection is None:
            return {}
        ends = asyncio.get_running_loop().time() + DEADLINE_SECONDS - 1
        try:
            with hung_up_at(self._connection, ends):
                return await self._keys.fetch_async(self._connection, subjects)
        except (psycopg.Error, OSError, TimeoutError):
            raise
        except Exception as error:  # noqa: BLE001 - it is theirs who need the keys, not the loader's
            return error

    async def _drop_connection(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()


def settle(
    future: "asyncio.Future[list[Loaded]]",
    wanted: Sequence[Wanted],
    rows: list[list[TupleRow]],
    keys: Keys | Exception,
) -> None:
    """Give an asker what was read for it, or the reason why it cannot be understood."""
    if future.done():
        return
    try:
        both = zip(wanted, rows, strict=True)
        future.set_result([loaded(one, found, keys) for one, found in both])
    except Exception as error:  # noqa: BLE001 - it is the asker's, not the loader's
        future.set_exception(error)


def loaded(wanted: Wanted, rows: list[TupleRow], keys: Keys | Exception) -> Loaded:
    """Make the rows of one stream what its asker gets."""
    _, version, tip, state, *_ = rows[0]
    result = Loaded(wanted.after if version is None else version, state, [], tip)
    for _, _, _, _, name, schema_version, data, position, command_id in rows:
        if name is not None:
            if isinstance(keys, Exception):
                if (name, schema_version) in EVENT_TYPES.sealed:
                    raise keys
                opened = None
            else:
                opened = opener(keys, wanted.stream_id, result.base + len(result.events) + 1)
            result.events.append(decode(name, schema_version, data, position, opened))
            result.tip = command_id
    return result
