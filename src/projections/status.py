"""How far each view is behind the log, in events and in seconds, and why if it stands still."""

from datetime import datetime

import msgspec
from psycopg import AsyncConnection, Connection
from psycopg.rows import TupleRow

STATUS = """
select c.name, c.version, c.position, h.position - c.position,
       coalesce(extract(epoch from clock_timestamp() - waiting.recorded_at), 0)::float8,
       c.moved_at, c.failure
  from projection_checkpoints c
 cross join log_head h
  left join events waiting on waiting.position = c.position + 1
 order by c.name, c.version
"""


class Status(msgspec.Struct, frozen=True):
    """Where a view stands; `seconds` is how long its oldest missing event has been in the log."""

    name: str
    version: int
    position: int
    events: int
    seconds: float
    moved_at: datetime
    failure: str | None


def statuses(connection: Connection[TupleRow]) -> list[Status]:
    """Return the status of every view."""
    return [Status(*row) for row in connection.execute(STATUS).fetchall()]


async def statuses_async(connection: AsyncConnection[TupleRow]) -> list[Status]:
    """Return the status of every view."""
    cursor = await connection.execute(STATUS)
    return [Status(*row) for row in await cursor.fetchall()]
