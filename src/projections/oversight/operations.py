"""What operators asked of the projections: read from the log itself, so never behind.

The log says who asked for what, when and why, and what came of it. A note says, from the same
transaction as the effect, that a request was carried out: nothing is done twice.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import msgspec
from psycopg import Connection
from psycopg.rows import TupleRow

from domain import projection_control as control
from event_store.event_types import decode, names_of

ENDED = "projection.operation_ended"
NAMES = [name for name in names_of(control.Event.__args__) if name != ENDED]
MOST_LISTED = 100

# A request is followed by its end within a few versions, so the look-up of the end is short.
REQUESTS = """
select e.position, e.name, e.schema_version, e.data::text,
       e.actor_id, e.actor_role, e.correlation_id, e.recorded_at,
       d.data ->> 'outcome', d.data ->> 'detail', d.recorded_at, n.rebuild_id, n.id is not null
  from events e
  left join lateral (
        select f.data, f.recorded_at from events f
         where f.stream_id = e.stream_id and f.version > e.version
           and f.name = %(ended)s and f.data ->> 'operation_id' = e.data ->> 'operation_id'
         order by f.version limit 1
       ) d on true
  left join projection_operations n on n.id = (e.data ->> 'operation_id')::uuid
 where e.stream_id = any(%(streams)s) and e.name = any(%(names)s)
"""
NEWEST = f"{REQUESTS} order by e.position desc limit %(limit)s offset %(offset)s"
WAITING = f"{REQUESTS} and d.data is null order by e.position"
ONE = f"{REQUESTS} and e.data ->> 'operation_id' = %(id)s"

COUNT = "select count(*) from events where stream_id = %(stream)s and name = any(%(names)s)"

# Whether anything was asked or has ended since somebody looked.
VERSIONS = """
select stream_id, max(version) from events where stream_id = any(%s::uuid[]) group by stream_id
"""

# The partitions of a view may have parked the same event, each for itself.
FAILED_KEY = """
select key from projection_failures where name = %s and side = 'live' and position = %s limit 1
"""

LEASE = "select pg_try_advisory_xact_lock(hashtextextended('daybook conductor ' || %s, 0))"
NOTED = "select rebuild_id, outcome, detail from projection_operations where id = %s"
NOTE = """
insert into projection_operations (id, projection, rebuild_id, outcome, detail)
values (%s, %s, %s, %s, %s)
"""


ACTIONS: dict[type[control.Request], str] = {
    control.ProjectionPaused: "pause",
    control.ProjectionResumed: "resume",
    control.ProjectionRebuildRequested: "rebuild",
    control.ProjectionRebuildThrottled: "throttle",
    control.ProjectionSwapRequested: "swap",
    control.ProjectionRebuildCancelled: "cancel",
    control.ProjectionRollbackRequested: "rollback",
    control.ProjectionPruneRequested: "prune",
    control.ParkedFailureRetryRequested: "retry",
    control.ParkedFailureSkipRequested: "skip",
}


class Operation(msgspec.Struct, frozen=True):
    """A request, who made it and why, and what came of it; `outcome` None: nothing yet.

    `begun`: its effect is noted, and only the log has yet to say so, or a rebuild is under way.
    """

    position: int
    request: control.Request
    actor_id: str
    actor_role: str
    correlation_id: str
    asked_at: datetime
    outcome: str | None
    detail: str | None
    ended_at: datetime | None
    rebuild_id: int | None
    begun: bool

    @property
    def action(self) -> str:
        """Return the word for what was asked."""
        return ACTIONS[type(self.request)]


class Note(NamedTuple):
    """What was noted with the effect of a request; `outcome` None: the rebuild goes on."""

    rebuild_id: int | None
    outcome: control.Outcome | None
    detail: str | None


def operations(
    connection: Connection[TupleRow], projection: str, limit: int = MOST_LISTED, offset: int = 0
) -> list[Operation]:
    """Return what was asked of a projection, the newest first."""
    values = wanted([projection]) | {"limit": limit, "offset": offset}
    return [operation_of(row) for row in connection.execute(NEWEST, values).fetchall()]


def count(connection: Connection[TupleRow], projection: str) -> int:
    """Return how often something was asked of a projection."""
    values = {"stream": control.stream_of(projection), "names": NAMES}
    row = connection.execute(COUNT, values).fetchone()
    assert row is not None  # noqa: S101 - a count is a row
    return int(row[0])


def operation(
    connection: Connection[TupleRow], projection: str, operation_id: UUID
) -> Operation | None:
    """Return one request to a projection."""
    values = wanted([projection]) | {"id": str(operation_id)}
    row = connection.execute(ONE, values).fetchone()
    return operation_of(row) if row else None


def waiting(connection: Connection[TupleRow], projections: Iterable[str]) -> list[Operation]:
    """Return what has not ended, in the order in which it was asked."""
    rows = connection.execute(WAITING, wanted(projections), prepare=True).fetchall()
    return [operation_of(row) for row in rows]


def versions(connection: Connection[TupleRow], projections: Iterable[str]) -> dict[UUID, int]:
    """Return how much was asked of projections and has ended: a cheap look for news."""
    streams = [control.stream_of(name) for name in projections]
    return dict(connection.execute(VERSIONS, [streams], prepare=True).fetchall())


def failed_key(connection: Connection[TupleRow], projection: str, position: int) -> str:
    """Return the key that failed at an event; `LookupError` if none did."""
    row = connection.execute(FAILED_KEY, [projection, position]).fetchone()
    if row is None:
        message = f"Nothing of {projection} is parked behind an event at position {position}."
        raise LookupError(message)
    return str(row[0])


def lease(connection: Connection[TupleRow], projection: str) -> bool:
    """Be the one who acts on a projection until the transaction ends; False: another one is.

    A frozen holder's session is ended by the server (`idle_in_transaction_session_timeout`), and
    what it had done in the transaction with it.
    """
    row = connection.execute(LEASE, [projection]).fetchone()
    return row is not None and bool(row[0])


def noted(connection: Connection[TupleRow], operation_id: UUID) -> Note | None:
    """Return what was noted of a request, None if it was not carried out."""
    row = connection.execute(NOTED, [operation_id]).fetchone()
    return Note(*row) if row else None


def note(connection: Connection[TupleRow], request: control.Request, what: Note) -> None:
    """Note that a request was carried out; belongs into the transaction of its effect."""
    connection.execute(NOTE, [request.operation_id, request.projection, *what])


def wanted(projections: Iterable[str]) -> dict[str, object]:
    """Return the parameters of every look at requests."""
    streams = [control.stream_of(name) for name in projections]
    return {"streams": streams, "names": NAMES, "ended": ENDED}


def operation_of(row: TupleRow) -> Operation:
    """Make the operation of a row."""
    position, name, schema_version, data, *rest = row
    request: control.Request = decode(name, schema_version, data, position)  # type: ignore[assignment]  # by its name
    return Operation(position, request, *rest)
