"""The events whose effect failed: each is tried again after a growing pause, then parked."""

import structlog
from psycopg import Connection
from psycopg.rows import TupleRow

from reactions.reaction import Refused

log = structlog.get_logger(__name__)

DUE = """
select position from reaction_failures
 where name = %s and retry_at <= clock_timestamp()
 order by retry_at limit 1
"""

# The pauses are 10, 20, 40 ... 300 seconds.
NOTE = """
insert into reaction_failures as f (name, position, attempts, error, retry_at)
values (%(name)s, %(position)s, 1, %(error)s, clock_timestamp() + interval '10 s')
on conflict (name, position) do update
   set attempts = f.attempts + 1, error = excluded.error, last_at = clock_timestamp(),
       retry_at = case when f.attempts + 1 < %(most)s then
           clock_timestamp() + interval '10 s' * least(30, power(2, least(f.attempts, 5))) end
returning attempts, retry_at is null
"""

FORGET = "delete from reaction_failures where name = %s and position = %s"


def next_due(connection: Connection[TupleRow], name: str) -> int | None:
    """Return the position of a failed event that is to be tried again now."""
    row = connection.execute(DUE, [name], prepare=True).fetchone()
    return int(row[0]) if row else None


def note(connection: Connection[TupleRow], name: str, position: int, refusal: Refused) -> None:
    """Count a failure; the event is tried again later, or parked if it was tried often enough."""
    values = {"name": name, "position": position, "error": str(refusal)}
    row = connection.execute(NOTE, {**values, "most": refusal.most_attempts}).fetchone()
    attempts, parked = row or (0, False)
    said = {"reaction": name, "position": position, "attempts": attempts, "error": str(refusal)}
    if parked:
        log.error("reaction_parked", **said)
    else:
        log.warning("reaction_refused", **said)


def forget(connection: Connection[TupleRow], name: str, position: int) -> None:
    """Say that a failed event is dealt with after all."""
    connection.execute(FORGET, [name, position])
