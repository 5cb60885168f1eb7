"""Following the log live: what is new after a position, in all streams or in one, undecoded."""

import time
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from event_store.connections import Pooled, borrowed, pool
from event_store.event_types import Event, Opened, decode
from event_store.privacy.keyring import NO_KEYS, Keyring, Keys
from event_store.privacy.sealing import opener, subjects_in_rows
from event_store.records import StoreUnavailable

TRYING_SECONDS = 1.0
PAGE = 500  # positions of the log, or events of one stream
EVENT = "e.position, e.stream_id, e.version, e.name, e.schema_version, e.data::text, e.occurred_at"

HEAD = "select position from log_head"

IN_ALL = f"""
select h.reached, {EVENT}
  from (select least(position, %b::bigint + {PAGE}) as reached, position from log_head) h
  left join events e
    on e.position > %b::bigint and e.position <= h.reached and e.name = any(%s::text[])
 order by e.position
"""  # noqa: S608 - our own names

# The first event comes too: it says what kind of stream it is and whose.
IN_ONE = f"""
select h.position, {EVENT}
  from log_head h
  left join lateral (
        select * from events
         where stream_id = %b and (version = 1 or position > %b::bigint) and position <= h.position
         order by version limit {PAGE}
       ) e on true
 order by e.position
"""  # noqa: S608 - our own names


class News(msgspec.Struct, frozen=True):
    """An event as the log holds it, before anybody has decoded it."""

    position: int
    stream_id: UUID
    version: int
    name: str
    schema_version: int
    data: str
    occurred_at: datetime
    opened: Opened | None = None

    def event(self) -> Event:
        """Decode it; `UnknownEvent` or `UnreadableEvent` if this release cannot."""
        return decode(self.name, self.schema_version, self.data, self.position, self.opened)


class Batch(msgspec.Struct, frozen=True):
    """What is new up to the position `reached`; `full`: there may be more."""

    reached: int
    news: list[News]
    full: bool


class NewsReader(Pooled):
    """Reads what is new; everything raises `StoreUnavailable` within 5 seconds.

    Entered, it has a few connections, however many callers there are. Without keys (None) what is
    personal stays encrypted.
    """

    def __init__(
        self, database_url: str, keys: Keyring | None = NO_KEYS, *, name: str = "daybook live"
    ) -> None:
        self._keys = keys
        super().__init__(pool(database_url, name=name, size=2))

    async def head(self) -> int:
        """Return the newest position."""
        rows, _ = await self._rows(HEAD, [])
        return int(rows[0][0])

    async def in_all(self, after: int, names: Sequence[str]) -> Batch:
        """Return the next events with some names, in order."""
        rows, keys = await self._rows(IN_ALL, [after, after, names])
        reached = int(rows[0][0])
        return Batch(max(reached, after), news_in(rows, keys), full=reached == after + PAGE)

    async def in_one(self, stream_id: UUID, after: int) -> Batch:
        """Return the first event of a stream, if it exists, and its next ones, in order."""
        rows, keys = await self._rows(IN_ONE, [stream_id, after])
        news = news_in(rows, keys)
        full = len(rows) == PAGE
        return Batch(news[-1].position if full else int(rows[0][0]), news, full)

    async def _rows(
        self, statement: str, values: Sequence[object]
    ) -> tuple[list[Any], Keys | None]:
        # What was lost while it lay idle is found out only now, and is no reason to part a client.
        tries_end = time.monotonic() + TRYING_SECONDS
        while True:
            try:
                async with borrowed(self._pool) as connection:
                    cursor = await connection.execute(statement, values, prepare=True)
                    rows = await cursor.fetchall()
                    if self._keys is None:
                        return rows, None
                    stored = (row[4:7] for row in rows if len(row) > 1 and row[1] is not None)
                    subjects = subjects_in_rows(stored)
                    return rows, await self._keys.fetch_async(connection, subjects)
            except StoreUnavailable:
                if time.monotonic() > tries_end:
                    raise


def news_in(rows: Sequence[Any], keys: Keys | None) -> list[News]:
    """Return the events in rows, of which a lone one may have none."""
    found = [News(*row[1:]) for row in rows if row[1] is not None]
    if keys is None:
        return found
    return [
        msgspec.structs.replace(one, opened=opener(keys, one.stream_id, one.version))
        for one in found
    ]
