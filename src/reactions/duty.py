"""Something that a worker does over and over, on a connection of its own, come what may."""

import threading
import time
from collections.abc import Callable

import structlog
from psycopg import Connection
from psycopg.rows import TupleRow

from event_store.connections import LOST_OR_ENDED, connect
from reactions.reaction import masked

TICK_SECONDS = 1.0
FAILED_SECONDS = 5.0
# News come in swarms: so long after the first one, most of a swarm is there.
LINGER_SECONDS = 0.05

log = structlog.get_logger(__name__)


class Duty:
    """The work, its connection, and what wakes it."""

    def __init__(
        self,
        name: str,
        database_url: str,
        work: Callable[[Connection[TupleRow]], int],
        *,
        linger: float = LINGER_SECONDS,
    ) -> None:
        """`work` does what is due, or a part of it, and returns how much that was.

        It begins `linger` seconds after it was woken.
        """
        self._linger = linger
        self.name = name
        self._database_url = database_url
        self._work = work
        self._connection: Connection[TupleRow] | None = None
        self._news = threading.Event()

    def step(self) -> int:
        """Work once. After an error the next step has a new connection."""
        if self._connection is None or self._connection.closed:
            self._connection = connect(self._database_url, name=f"daybook {self.name}")
        try:
            return self._work(self._connection)
        except BaseException:
            self.close()
            raise

    def run(self, stop: threading.Event) -> None:
        """Work until stopped: at once while there is something to do, else each second."""
        while not stop.is_set():
            self._news.clear()
            try:
                if not self._step_or_warn() and self._news.wait(TICK_SECONDS):
                    time.sleep(self._linger)
            except Exception:
                log.exception("duty_failed", duty=self.name)
                stop.wait(FAILED_SECONDS)

    def wake(self) -> None:
        """End the pause."""
        self._news.set()

    def close(self) -> None:
        """Hang up."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _step_or_warn(self) -> int:
        try:
            return self.step()
        except LOST_OR_ENDED as error:
            log.warning("postgres_away", duty=self.name, error=masked(str(error)))
            return 0
