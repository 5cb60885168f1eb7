"""Pausing a view: from the moment that it is paused no page of it is committed, by any worker."""

from psycopg import Connection
from psycopg.rows import TupleRow

PAUSE = """
update projection_versions set paused_at = clock_timestamp()
 where name = %s and paused_at is null
"""
RESUME = "update projection_versions set paused_at = null where name = %s and paused_at is not null"
KNOWN = "select from projection_versions where name = %s"

# Whoever holds a partition loses it, and with it the right to commit what is under way.
FENCE = """
update projection_checkpoints set holder = null, held_since = null, token = token + 1
 where name = %s and side = 'live'
"""


def pause(connection: Connection[TupleRow], name: str) -> bool:
    """Let a view stand still until it is resumed; False if it did already.

    A page that is being committed at this moment is waited for. `LookupError` if there is no such
    view.
    """
    with connection.transaction():
        check_known(connection, name)
        paused = connection.execute(PAUSE, [name]).rowcount > 0
        if paused:
            connection.execute(FENCE, [name])
    return paused


def resume(connection: Connection[TupleRow], name: str) -> bool:
    """Let a view be posted again; False if it was not paused. The workers begin within a second."""
    with connection.transaction():
        check_known(connection, name)
        return connection.execute(RESUME, [name]).rowcount > 0


def check_known(connection: Connection[TupleRow], name: str) -> None:
    """Raise `LookupError` unless there is a view of this name."""
    if connection.execute(KNOWN, [name]).fetchone() is None:
        raise LookupError(f"There is no projection {name}.")
