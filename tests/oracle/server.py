"""A Postgres of the test's own, kept as `daybook up` keeps it, to be ill-treated."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from daybook.embedded import postgres as embedded_postgres
from daybook.embedded import sockets
from daybook.processes.supervisor import Supervisor

BACKENDS = """
select pid from pg_stat_activity where application_name like %s and backend_type = 'client backend'
"""


class Server:
    """The server's address and its processes."""

    def __init__(self, database_url: str, data: Path) -> None:
        self.url, self._data = database_url, data

    @property
    def postmaster(self) -> int:
        """Return the process id of the server's first process."""
        return int((self._data / "postmaster.pid").read_text().split()[0])

    def connect(self) -> "psycopg.Connection[tuple[object, ...]]":
        """Connect in autocommit, beside everything that is tested."""
        return psycopg.connect(
            self.url, autocommit=True, connect_timeout=2, application_name="oracle"
        )

    def backends(self, name: str) -> list[int]:
        """Return the processes that serve connections of a name (with % as in `like`)."""
        with self.connect() as connection:
            return [int(str(pid)) for (pid,) in connection.execute(BACKENDS, [name]).fetchall()]

    def answers(self) -> bool:
        """Tell whether the server takes connections."""
        try:
            self.connect().close()
        except psycopg.OperationalError:
            return False
        return True


@contextmanager
def own_postgres(folder: Path, log_dir: Path | None = None) -> Iterator[Server]:
    """Run a Postgres in a folder while the block lasts; it is started again when it dies."""
    data_dir = folder / "var"
    data_dir.mkdir(mode=0o755, exist_ok=True)
    log = log_dir or data_dir / "log"
    log.mkdir(exist_ok=True)
    place = data_dir / "postgres"
    try:
        with Supervisor(log, say=lambda _: None) as supervisor:
            url = embedded_postgres.start(supervisor, data_dir)
            yield Server(url, place.resolve() / "data")
    finally:
        sockets.tidy(place.resolve() / "run")


@contextmanager
def frozen(pids: list[int]) -> Iterator[None]:
    """Stop processes with SIGSTOP while the block lasts."""
    stopped = [pid for pid in pids if signalled(pid, signal.SIGSTOP)]
    try:
        yield
    finally:
        for pid in stopped:
            signalled(pid, signal.SIGCONT)


def signalled(pid: int, signum: int) -> bool:
    """Send a signal; False if the process is gone."""
    try:
        os.kill(pid, signum)
    except ProcessLookupError:
        return False
    return True
