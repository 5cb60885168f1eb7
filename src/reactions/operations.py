"""What operators decided about reactions: read from the log itself, so never behind."""

from collections.abc import Iterable
from datetime import datetime

import msgspec
from psycopg import Connection
from psycopg.rows import TupleRow

from domain import reaction_control as control
from event_store.event_types import names_of

MOST_LISTED = 100
ENDED = names_of([control.ReactionOperationEnded])
ACTIONS = {
    "reaction.retry_requested": "retry",
    "reaction.skip_requested": "skip",
}

# What has no end but is behind the checkpoint was carried out by a release that said nothing of it.
REQUESTS = """
select e.position, e.data ->> 'reaction', e.name, (e.data ->> 'position')::bigint,
       e.data ->> 'reason', e.actor_id, e.actor_role, e.recorded_at,
       coalesce(d.data ->> 'outcome', case when e.position <= c.position then 'done' end),
       d.data ->> 'detail', d.recorded_at
  from events e
  join reaction_checkpoints c on c.name = 'operator_decisions'
  left join lateral (
        select f.data, f.recorded_at from events f
         where f.stream_id = e.stream_id and f.version > e.version
           and f.name = any(%(ended)s) and (f.data ->> 'request')::bigint = e.position
         order by f.version limit 1
       ) d on true
 where e.stream_id = any(%(streams)s) and e.name = any(%(names)s)
"""
NEWEST = f"{REQUESTS} order by e.position desc limit %(limit)s offset %(offset)s"
ONE = f"{REQUESTS} and e.position = %(position)s"
COUNT = "select count(*) from events where stream_id = any(%(streams)s) and name = any(%(names)s)"


class Operation(msgspec.Struct, frozen=True):
    """A decision, who made it and why, and what came of it; `outcome` None: nothing yet.

    `operation_id` is where in the log it was made; `position` the event that it is about, None: all
    that failed.
    """

    operation_id: int
    reaction: str
    action: str
    position: int | None
    reason: str
    asked_by: str
    role: str
    asked_at: datetime
    outcome: str | None
    detail: str | None
    ended_at: datetime | None


def operations(
    connection: Connection[TupleRow],
    reactions: Iterable[str],
    *,
    limit: int = MOST_LISTED,
    offset: int = 0,
) -> list[Operation]:
    """Return what was decided about reactions, the newest first."""
    values = wanted(reactions) | {"limit": limit, "offset": offset}
    return [operation_of(row) for row in connection.execute(NEWEST, values).fetchall()]


def count(connection: Connection[TupleRow], reactions: Iterable[str]) -> int:
    """Return how often something was decided about reactions."""
    row = connection.execute(COUNT, wanted(reactions)).fetchone()
    assert row is not None  # noqa: S101 - a count is a row
    return int(row[0])


def operation(
    connection: Connection[TupleRow], reaction: str, operation_id: int
) -> Operation | None:
    """Return one decision about a reaction."""
    values = wanted([reaction]) | {"position": operation_id}
    row = connection.execute(ONE, values).fetchone()
    return operation_of(row) if row else None


def wanted(reactions: Iterable[str]) -> dict[str, object]:
    """Return the parameters of every look at decisions."""
    streams = [control.stream_of(name) for name in reactions]
    return {"streams": streams, "names": list(ACTIONS), "ended": ENDED}


def operation_of(row: TupleRow) -> Operation:
    """Make the operation of a row."""
    operation_id, reaction, name, *rest = row
    return Operation(operation_id, reaction, ACTIONS[name], *rest)
