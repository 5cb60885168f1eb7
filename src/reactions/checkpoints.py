"""Where each reaction stands in the log; the row's lock is the lease to act for it."""

from typing import NamedTuple

import structlog
from psycopg import Connection
from psycopg.rows import TupleRow

from reactions.reaction import Outage

log = structlog.get_logger(__name__)

NEWS = """
select c.retry_at is null or c.retry_at <= clock_timestamp(),
       h.position > c.position,
       exists (
           select from reaction_failures f
            where f.name = c.name and f.retry_at <= clock_timestamp()
       )
  from log_head h, reaction_checkpoints c
 where c.name = %s
"""

# The lock ends with the transaction, whatever becomes of the worker. A frozen worker is ended by
# the server's idle_in_transaction_session_timeout, and can then write nothing.
TAKE = """
select position from reaction_checkpoints
 where name = %s and (retry_at is null or retry_at <= clock_timestamp())
   for update skip locked
"""

MOVE = """
update reaction_checkpoints
   set position = %s, moved_at = clock_timestamp(), attempts = 0, failure = null, retry_at = null
 where name = %s
"""

LONGEST_PAUSE = 30
ATTEMPTS_BETWEEN_WARNINGS = 15
# The pauses are 1, 2, 4 ... seconds.
HOLD = """
update reaction_checkpoints
   set attempts = attempts + 1, failure = %s, failed_at = clock_timestamp(),
       retry_at = clock_timestamp() + interval '1 s' * least(%s, power(2, least(attempts, 5)))
 where name = %s
returning attempts
"""


class News(NamedTuple):
    """What there is to do: new events in the log, failed ones whose pause is over."""

    behind: bool
    failed: bool


def news(connection: Connection[TupleRow], name: str) -> News:
    """Look, without any lock, whether there is something to do for a reaction now."""
    row = connection.execute(NEWS, [name], prepare=True).fetchone()
    if row is None:
        message = f"There is no checkpoint of the reaction {name}."
        raise LookupError(message)
    allowed, behind, failed = row
    return News(allowed and behind, allowed and failed)


def take(connection: Connection[TupleRow], name: str) -> int | None:
    """Lock a reaction for this transaction and return its position; None: not now, or not we."""
    row = connection.execute(TAKE, [name], prepare=True).fetchone()
    return int(row[0]) if row else None


def move(connection: Connection[TupleRow], name: str, position: int) -> None:
    """Say that everything up to a position is dealt with."""
    connection.execute(MOVE, [position, name], prepare=True)


def hold(
    connection: Connection[TupleRow], name: str, outage: Outage, *, longest: int = LONGEST_PAUSE
) -> None:
    """Let a reaction wait where it stands, a little longer each time, and say so now and then."""
    row = connection.execute(HOLD, [str(outage), longest, name]).fetchone()
    attempts = int(row[0]) if row else 0
    if attempts % ATTEMPTS_BETWEEN_WARNINGS == 1:
        log.warning("reaction_waits", reaction=name, attempts=attempts, error=str(outage))
