"""How the reactions stand, and the events whose effect failed: what operators look at."""

from datetime import datetime
from uuid import UUID

import msgspec
from psycopg import Connection
from psycopg.rows import TupleRow

STATUS = """
select c.name, c.position, h.position - c.position,
       coalesce(extract(epoch from clock_timestamp() - waiting.recorded_at), 0)::float8,
       c.moved_at, c.attempts, c.failure, c.failed_at, c.retry_at,
       (select count(*) from reaction_failures f where f.name = c.name and f.retry_at is not null),
       (select count(*) from reaction_failures f where f.name = c.name and f.retry_at is null)
  from reaction_checkpoints c
 cross join log_head h
  left join events waiting on waiting.position = c.position + 1
 order by c.name
"""

FAILURES = """
select f.name, f.position, e.name, e.stream_id, e.version, e.recorded_at,
       f.attempts, f.error, f.first_at, f.last_at, f.retry_at
  from reaction_failures f
  join events e on e.position = f.position
 where (%(name)s::text is null or f.name = %(name)s)
   and (%(position)s::bigint is null or f.position = %(position)s)
 order by f.name, f.position
 limit %(limit)s offset %(offset)s
"""
COUNT = "select count(*) from reaction_failures where %(name)s::text is null or name = %(name)s"

# The event that a reaction stands still before, because of which or not: it is the next one.
HELD = """
select c.name, e.position, e.name, e.stream_id, e.version, e.recorded_at,
       c.attempts, c.failure, c.failed_at, c.failed_at, c.retry_at
  from reaction_checkpoints c
 cross join lateral (
        select * from events e
         where e.position > c.position and e.name = any(%(names)s::text[])
         order by e.position limit 1
       ) e
 where c.name = %(name)s and c.failure is not null and e.position = %(position)s
"""


class Status(msgspec.Struct, frozen=True):
    """Where a reaction stands. `seconds` is how long the oldest event it has not seen is there.

    `failure`: why it waits before the next event, until `retry_at`. `failing` events are tried
    again by themselves; `parked` ones only when an operator says so.
    """

    name: str
    position: int
    events: int
    seconds: float
    moved_at: datetime
    attempts: int
    failure: str | None
    failed_at: datetime | None
    retry_at: datetime | None
    failing: int
    parked: int

    @property
    def state(self) -> str:
        """Return the word for it."""
        if self.failure:
            return "waiting"
        return "parked" if self.parked else "working" if self.events else "up to date"


class Failure(msgspec.Struct, frozen=True):
    """An event whose effect failed; `retry_at` None: it is parked."""

    reaction: str
    position: int
    event: str
    stream_id: UUID
    version: int
    recorded_at: datetime
    attempts: int
    error: str
    first_at: datetime
    last_at: datetime
    retry_at: datetime | None


def statuses(connection: Connection[TupleRow]) -> list[Status]:
    """Return the status of every reaction."""
    return [Status(*row) for row in connection.execute(STATUS).fetchall()]


def failures(
    connection: Connection[TupleRow], name: str | None = None, *, limit: int = 100, offset: int = 0
) -> list[Failure]:
    """Return the failed events of a reaction, or of all, in order."""
    values = {"name": name, "position": None, "limit": limit, "offset": offset}
    return [Failure(*row) for row in connection.execute(FAILURES, values).fetchall()]


def count(connection: Connection[TupleRow], name: str | None = None) -> int:
    """Return how many events of a reaction, or of all, have failed."""
    row = connection.execute(COUNT, {"name": name}).fetchone()
    assert row is not None  # noqa: S101 - a count is a row
    return int(row[0])


def failure(
    connection: Connection[TupleRow], name: str, position: int, event_names: list[str]
) -> Failure | None:
    """Return the failed event at a position, or the one that a reaction waits before."""
    values = {"name": name, "position": position, "limit": 1, "offset": 0, "names": event_names}
    for query in (FAILURES, HELD):
        row = connection.execute(query, values).fetchone()
        if row is not None:
            return Failure(*row)
    return None
