"""Events that could not be applied, and those that wait behind them: list, retry, skip.

Each key's events wait in the order of the log.
"""

from datetime import datetime
from uuid import UUID

import msgspec
from psycopg import Connection
from psycopg.rows import TupleRow

from event_store.privacy.keyring import NO_KEYS, Keyring
from projections.posting.draining import Drain, slots
from projections.projection import Projection
from projections.sides import Side

FAILURES = """
select f.name, f.version, f.side, f.key, min(f.position),
       (select count(distinct p.position) from projection_parked p
         where (p.name, p.version, p.side, p.key) = (f.name, f.version, f.side, f.key)),
       max(f.attempts), (array_agg(f.error order by f.position))[1],
       min(f.first_at), max(f.last_at), max(f.retried_at)
  from projection_failures f
 where f.side = %(side)s and (%(name)s::text is null or f.name = %(name)s)
   and (%(key)s::text is null or f.key = %(key)s)
 group by f.name, f.version, f.side, f.key
 order by min(f.first_at), f.name, f.key
 limit %(limit)s offset %(offset)s
"""

DETAIL = """
select f.traceback, e.position, e.name, e.schema_version, e.stream_id, e.version,
       e.occurred_at, e.data::text
  from projection_failures f
  join events e using (position)
 where f.name = %s and f.version = %s and f.side = %s and f.key = %s
 order by f.position limit 1
"""


WAITING = """
select count(distinct (key, position)) from projection_parked
 where name = %(name)s and side = 'live' and (%(key)s::text is null or key = %(key)s)
"""


class Failure(msgspec.Struct, frozen=True):
    """An event that could not be applied for a key; `waiting` counts it and those behind it."""

    name: str
    version: int
    side: Side
    key: str
    position: int
    waiting: int
    attempts: int
    error: str
    first_at: datetime
    last_at: datetime
    retried_at: datetime | None


class ParkedEvent(msgspec.Struct, frozen=True):
    """An event as it is stored."""

    position: int
    name: str
    schema_version: int
    stream_id: UUID
    version: int
    occurred_at: datetime
    data: str


class FailureDetail(msgspec.Struct, frozen=True):
    """A failure with its event and where in the program it arose."""

    failure: Failure
    event: ParkedEvent
    traceback: str


class Retried(msgspec.Struct, frozen=True):
    """What became of a retry: keys tried, events applied, events that wait still."""

    keys: int
    applied: int
    waiting: int


class Skipped(msgspec.Struct, frozen=True):
    """What became of a skip: the event left out, events applied after it, events still waiting."""

    position: int
    applied: int
    waiting: int


def failures(  # noqa: PLR0913 - which part of the list, each by its name
    connection: Connection[TupleRow],
    name: str | None = None,
    *,
    key: str | None = None,
    limit: int = 100,
    offset: int = 0,
    side: Side = "live",
) -> list[Failure]:
    """Return the keys whose events wait, the longest first."""
    values = {"name": name, "key": key, "side": side, "limit": limit, "offset": offset}
    return [Failure(*row) for row in connection.execute(FAILURES, values).fetchall()]


def failure(connection: Connection[TupleRow], name: str, key: str) -> FailureDetail:
    """Return everything about one failure; `LookupError` if there is none."""
    found = failures(connection, name, key=key, limit=1)
    if not found:
        raise LookupError(f"Nothing of {name} waits under the key {key}.")
    where = [found[0].name, found[0].version, found[0].side, key]
    row = connection.execute(DETAIL, where).fetchone()
    assert row is not None  # noqa: S101 - the log keeps every event
    return FailureDetail(found[0], ParkedEvent(*row[1:]), row[0])


def retry(
    connection: Connection[TupleRow],
    projection: Projection,
    key: str | None = None,
    *,
    keys: Keyring = NO_KEYS,
) -> Retried:
    """Apply the waiting events of a key, or of all keys, as far as it is possible now, in order.

    Events are read anew, through the upcasters of this release. `LookupError` if nothing waits
    under the key.
    """
    found = slots(connection, projection, key)
    if key is not None and not found:
        raise LookupError(f"Nothing of {projection.name} waits under the key {key}.")
    applied: set[int] = set()
    for partition, of_key, _ in found:
        applied |= Drain(connection, projection, partition, of_key, keys=keys).run()
    tried = {of_key for _, of_key, _ in found}
    return Retried(len(tried), len(applied), waiting(connection, projection.name, key))


def skip(
    connection: Connection[TupleRow],
    projection: Projection,
    key: str,
    position: int,
    *,
    keys: Keyring = NO_KEYS,
) -> Skipped:
    """Leave out the event that a key waits for, then apply what waits behind it.

    `LookupError` unless this very event is the one that the key waits for.
    """
    found = [one for one in slots(connection, projection, key) if one[2] == position]
    if not found:
        raise LookupError(f"{projection.name} does not wait for event {position} of key {key}.")
    applied: set[int] = set()
    for partition, of_key, _ in found:
        drain = Drain(connection, projection, partition, of_key, keys=keys, without=position)
        applied |= drain.run()
    return Skipped(position, len(applied), waiting(connection, projection.name, key))


def waiting(connection: Connection[TupleRow], name: str, key: str | None) -> int:
    """Return how many events of a view wait, under one key or any."""
    row = connection.execute(WAITING, {"name": name, "key": key}).fetchone()
    return int(row[0]) if row else 0
