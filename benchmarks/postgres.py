"""One Postgres for all sides: Daybook's embedded one with its settings, reachable over TCP."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

from benchmarks.bench import free_port
from daybook.embedded import postgres as embedded_postgres
from daybook.embedded import postgres_place, sockets
from daybook.migrate import migrate
from daybook.processes.supervisor import Supervisor

# The very settings, programs and environment that the product starts its own with.
SETTINGS = embedded_postgres._SETTINGS  # noqa: SLF001 - a copy would grow old
ENVIRONMENT = embedded_postgres._ENVIRONMENT  # noqa: SLF001 - as above
STOP = embedded_postgres._STOP  # noqa: SLF001 - as above


@dataclass(frozen=True)
class Postgres:
    """A running Postgres on the loopback, and where its other programs are."""

    port: int
    programs: Path

    def url(self, database: str) -> str:
        """Return the address of a database."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def create(self, database: str) -> str:
        """Make an empty database and return its address."""
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f'create database "{database}"')
        return self.url(database)

    def create_log(self, database: str) -> str:
        """Make a database with Daybook's schema and return its address."""
        url = self.create(database)
        migrate(url)
        return url

    def drop(self, database: str) -> None:
        """Remove a database, whoever is connected to it."""
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f'drop database if exists "{database}" with (force)')

    def settle(self) -> None:
        """Write out what is dirty, so that no side pays for what came before it."""
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute("checkpoint")


@contextmanager
def running_postgres(folder: Path) -> Iterator[Postgres]:
    """Run a Postgres with an empty cluster while the block lasts."""
    folder.mkdir(mode=0o755)
    place = postgres_place.find(folder)
    data, port = place.folder / "data", free_port()
    sockets_in = sockets.directory(place.folder / "run", f".s.PGSQL.{port}", place.user)
    settings = {
        **SETTINGS,
        "listen_addresses": "127.0.0.1",
        "port": str(port),
        "unix_socket_directories": f'"{sockets_in}"',
    }
    try:
        with Supervisor(folder / "log") as supervisor:
            embedded_postgres._make(supervisor, place, data)
            supervisor.start(
                "postgres",
                [
                    str(place.programs / "postgres"),
                    *("-D", str(data)),
                    *(word for key, value in settings.items() for word in ("-c", f"{key}={value}")),
                ],
                env=ENVIRONMENT,
                user=place.user,
                stop=STOP,
                ready=lambda: answers(port),
            )
            yield Postgres(port, place.programs)
    finally:
        sockets.tidy(place.folder / "run")
        postgres_place.remove(folder)


def answers(port: int) -> bool:
    """Tell whether Postgres takes connections."""
    try:
        psycopg.connect(Postgres(port, Path()).url("postgres"), connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True
