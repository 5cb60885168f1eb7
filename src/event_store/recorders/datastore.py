"""Connections of the package's synchronous recorders: lent with a deadline, errors in its words."""

import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import Event, Thread
from time import monotonic
from typing import TypeVar

import psycopg
from eventsourcing import persistence
from psycopg import Connection
from psycopg.rows import TupleRow
from psycopg_pool import ConnectionPool, PoolClosed

from event_store.connections import bounded, hang_up

DEADLINE_SECONDS = 5.0
WATCH_SECONDS = 0.25
MOST_CONNECTIONS = 5
NO_LOG = "Is this Daybook's database? Then run `daybook migrate` for it."

Result = TypeVar("Result")


class ConnectionLost(persistence.OperationalError):
    """The way to Postgres broke while it was asked: what was asked may have been done or not."""


class Datastore:
    """Lends connections to any number of threads; to be closed at the end."""

    def __init__(self, database_url: str) -> None:
        """Connect in the background: Postgres may be away."""
        self._closed = Event()
        self._lent: dict[Connection[TupleRow], float] = {}
        self._pool = ConnectionPool(
            bounded(database_url, name="daybook recorder"),
            min_size=1,
            max_size=MOST_CONNECTIONS,
            reconnect_timeout=DEADLINE_SECONDS,
            configure=shorten_patience,
            open=True,
            kwargs={"autocommit": True},
            name="daybook recorder",
        )
        # The thread knows nothing of the datastore, which can be forgotten without being closed.
        weakref.finalize(self, self._closed.set)
        Thread(target=hang_up_late_ones, args=(self._lent, self._closed), daemon=True).start()

    def close(self) -> None:
        """Hang up; whoever asks from now on gets an `InterfaceError`."""
        self._closed.set()
        self._pool.close()

    def run(self, work: Callable[[Connection[TupleRow]], Result]) -> Result:
        """Do work on a connection, again if it was lost meanwhile: it must bear to be repeated."""
        ends = monotonic() + DEADLINE_SECONDS
        while True:
            try:
                with self.connection(ends - monotonic()) as connection:
                    return work(connection)
            except ConnectionLost:
                if monotonic() >= ends:
                    raise

    @contextmanager
    def connection(self, seconds: float = DEADLINE_SECONDS) -> Iterator[Connection[TupleRow]]:
        """Lend a connection in autocommit for so long; then it is hung up."""
        with translated(), self._pool.connection(timeout=max(seconds, 0.01)) as connection:
            self._lent[connection] = monotonic() + seconds
            try:
                yield connection
            except psycopg.Error as error:
                if connection.closed:
                    raise ConnectionLost(str(error)) from error
                raise
            finally:
                del self._lent[connection]


def hang_up_late_ones(lent: dict[Connection[TupleRow], float], closed: Event) -> None:
    """Hang up, until closed, each connection that is lent after its time: its user gets an error.

    A frozen server says nothing, and psycopg waits for it without end.
    """
    while not closed.wait(WATCH_SECONDS):
        for connection, ends in list(lent.items()):
            if monotonic() > ends:
                with suppress(psycopg.Error):  # it was closed at this moment
                    hang_up(connection)  # type: ignore[arg-type] # both kinds have what it needs


def shorten_patience(connection: Connection[TupleRow]) -> None:
    """Let the server end a transaction that its client forgot: it may hold the log's head."""
    connection.execute("set idle_in_transaction_session_timeout = '5s'")


@contextmanager
def translated() -> Iterator[None]:
    """Raise the package's error of the same name for each error of psycopg."""
    try:
        yield
    except PoolClosed as error:
        raise persistence.InterfaceError("The recorder is closed.") from error
    except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedFunction) as error:
        raise persistence.ProgrammingError(f"{error}\n{NO_LOG}") from error
    except psycopg.Error as error:
        raise translation(error)(str(error)) from error


def translation(error: psycopg.Error) -> type[persistence.PersistenceError]:
    """Return the package's class for an error; both follow PEP 249."""
    for kind in type(error).__mro__:
        found = getattr(persistence, kind.__name__, None)
        if isinstance(found, type) and issubclass(found, persistence.PersistenceError):
            return found
    return persistence.PersistenceError
