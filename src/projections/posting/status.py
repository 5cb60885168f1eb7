"""Where each view stands: how far behind the log, who holds its partitions, why it stands still."""

from datetime import datetime

import msgspec
from psycopg import AsyncConnection, Connection
from psycopg.rows import TupleRow

from projections.sides import Side

STATUS = """
select c.name, c.version, c.position, h.position - c.position,
       coalesce(extract(epoch from clock_timestamp() - waiting.recorded_at), 0)::float8,
       c.moved_at, c.failure,
       (select count(distinct (key, position)) from projection_parked p
         where p.name = c.name and p.version = c.version and p.side = 'live'),
       c.paused
  from (
        select name, version, min(position) as position, max(moved_at) as moved_at,
               max(failure) as failure, bool_or(v.paused_at is not null) as paused
          from projection_checkpoints
          join projection_versions v using (name, version)
         where side = 'live'
           and version = (
                select n.serves from projection_versions n where n.name = v.name
                 order by n.version desc limit 1
               )
         group by name, version
       ) c
 cross join log_head h
  left join events waiting on waiting.position = c.position + 1
 order by c.name, c.version
"""

PARTITIONS = """
select c.name, c.version, c.side, c.partition, c.position, h.position - c.position,
       w.worker, case when w.worker is not null then c.held_since end, c.moved_at,
       c.failure, c.failed_at, c.crashes
  from projection_checkpoints c
 cross join log_head h
  left join projection_workers_alive w on w.worker = c.holder
 where %(name)s::text is null or c.name = %(name)s
 order by c.name, c.version, c.side, c.partition
"""

WORKERS = """
select w.worker, w.host, w.process, w.seen_at, count(c.name)
  from projection_workers_alive w
  left join projection_checkpoints c on c.holder = w.worker
 group by w.worker, w.host, w.process, w.seen_at
 order by w.worker
"""


class Status(msgspec.Struct, frozen=True):
    """Where a view stands; `seconds` is how long its oldest missing event has been in the log.

    `parked` counts the events that wait because they, or one before them, could not be applied.
    """

    name: str
    version: int
    position: int
    events: int
    seconds: float
    moved_at: datetime
    failure: str | None
    parked: int = 0
    paused: bool = False


class Partition(msgspec.Struct, frozen=True):
    """One partition of a view; `holder` is a worker that is alive, `events` are still to be posted.

    `crashes` counts the workers that died over its next page.
    """

    name: str
    version: int
    side: Side
    partition: int
    position: int
    events: int
    holder: str | None
    held_since: datetime | None
    moved_at: datetime
    failure: str | None
    failed_at: datetime | None
    crashes: int


class Worker(msgspec.Struct, frozen=True):
    """A worker that is alive, and how many partitions it holds."""

    worker: str
    host: str
    process: int
    seen_at: datetime
    held: int


def statuses(connection: Connection[TupleRow]) -> list[Status]:
    """Return the status of every view."""
    return [Status(*row) for row in connection.execute(STATUS).fetchall()]


async def statuses_async(connection: AsyncConnection[TupleRow]) -> list[Status]:
    """Return the status of every view."""
    cursor = await connection.execute(STATUS)
    return [Status(*row) for row in await cursor.fetchall()]


def partitions(connection: Connection[TupleRow], name: str | None = None) -> list[Partition]:
    """Return the partitions of one view or of all."""
    return [Partition(*row) for row in connection.execute(PARTITIONS, {"name": name}).fetchall()]


def workers(connection: Connection[TupleRow]) -> list[Worker]:
    """Return the workers that are alive."""
    return [Worker(*row) for row in connection.execute(WORKERS).fetchall()]
