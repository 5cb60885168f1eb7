"""The process that makes views anew, or as they were: a child of a worker, while there is work.

It is a process of its own so that live views are posted beside it and not in turn with it, and it
is nice, so that they go first where there are not enough cores.
"""

import os
import subprocess
import threading
import time

import psycopg
import structlog
from psycopg import Connection
from psycopg.rows import TupleRow

from daybook import garbage
from daybook.keys.master_key import keyring
from daybook.logs import Seldom, configure_logs
from daybook.processes.children import begin, end_with_parent
from daybook.settings import Settings
from event_store.connections import connect
from projections.pasts import register as pasts
from projections.pasts.building import Archivist
from projections.rebuilds.rebuild import labour, unfinished
from projections.switched_on import PROJECTIONS

NICE = 10
STATEMENT_MS = 600_000
IDLE = "5s"
LOOK_SECONDS = 1.0
PAUSE_SECONDS = 0.05
QUIET_SECONDS = 5.0

log = structlog.get_logger(__name__)


class Foreman:
    """Looks each second for rebuilds that are under way, and keeps a builder while there are."""

    def __init__(self, database_url: str) -> None:
        self._database_url = database_url
        self._builder: subprocess.Popen[bytes] | None = None
        self._seldom = Seldom()

    def start(self) -> None:
        """Begin to look, for as long as this process lives."""
        threading.Thread(target=self._run, name="foreman", daemon=True).start()

    def _run(self) -> None:
        while True:
            time.sleep(LOOK_SECONDS)
            if self._builder is not None and self._builder.poll() is None:
                continue
            try:
                if something_to_build(self._database_url):
                    self._builder = begin("daybook.builder", self._database_url)
            except (psycopg.Error, OSError) as error:
                if self._seldom.due("foreman"):
                    log.warning("no_builder", error=str(error).strip())


def something_to_build(database_url: str) -> bool:
    """Tell whether there is a rebuild, or a past, that this release can work on."""
    with connect(database_url, name="daybook foreman") as connection:
        return waiting(connection)


def waiting(connection: Connection[TupleRow]) -> bool:
    """Tell whether something is to be made."""
    names = {one.name for one in unfinished(connection)}
    names |= {one.name for one in pasts.unfinished(connection)}
    return not names.isdisjoint(PROJECTIONS)


def main() -> None:
    """Build until there has been nothing to do for some seconds."""
    configure_logs()
    os.nice(NICE)
    garbage.look_rarely(garbage.OF_STRETCHES)
    end_with_parent()
    keys = keyring(Settings.from_environment(os.environ))
    quiet_since = time.monotonic()
    with (
        connect(
            os.environ["DAYBOOK_DATABASE_URL"],
            name="daybook builder",
            statement_ms=STATEMENT_MS,
            idle_in_transaction_session_timeout=IDLE,
        ) as connection,
        labour(connection, PROJECTIONS, keys) as at_work,
    ):
        archivist = Archivist(PROJECTIONS)
        while time.monotonic() - quiet_since < QUIET_SECONDS:
            built, made = at_work.step(connection), archivist.step(connection)
            if built or made:
                quiet_since = time.monotonic()
            else:
                time.sleep(PAUSE_SECONDS)
                if waiting(connection):
                    quiet_since = time.monotonic()


if __name__ == "__main__":
    main()
