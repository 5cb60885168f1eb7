"""Sessions that are over when their block is: a server ends one a moment after its client is gone.

Until then a worker counts as alive, and what it held is not given to others.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg import Connection
from psycopg.rows import TupleRow

from event_store.connections import STATEMENT_MS, connect
from tests.valkey import until

SECONDS = 60
OVER = """
select not exists (select from pg_stat_activity
                    where datname = current_database() and %s in (pid::text, application_name))
"""


@contextmanager
def closed_session(
    database_url: str, name: str, *, statement_ms: int = STATEMENT_MS
) -> Iterator[Connection[TupleRow]]:
    """Lend a connection, and return from the block when the server has ended its session."""
    with connect(database_url, name=name, statement_ms=statement_ms) as connection:
        process = connection.info.backend_pid
        try:
            yield connection
        finally:
            connection.close()
            until_over(database_url, str(process))


def until_over(database_url: str, which: str) -> None:
    """Wait until a session is over, by its process, or all of a name; the server may restart."""

    def over() -> bool:
        try:
            with psycopg.connect(database_url, autocommit=True) as connection:
                return connection.execute(OVER, [which]).fetchone() == (True,)
        except psycopg.OperationalError:
            return False

    until(over, SECONDS)
