"""What tests of all rooms need: a real Postgres, and a fresh migrated database on it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from hypothesis import HealthCheck, settings
from psycopg import Connection, sql
from psycopg.rows import TupleRow
from sqlalchemy import make_url

from daybook.migrate import migrate
from daybook.services import services
from daybook.settings import Settings
from tests.folders import folder_for_services, in_memory

TESTS = Path(__file__).parent
LONG = ("stories", "chaos", "fuzzing", "oracle")
# The same examples each time, however long a busy machine takes for one.
settings.register_profile(
    "daybook", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("daybook")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the long ones, so that no process is left with them at the end."""
    items.sort(key=lambda item: item.path.relative_to(TESTS).parts[0] not in LONG)


@pytest.fixture(scope="session")
def server_url() -> Iterator[str]:
    """Give the address of a Postgres server: DAYBOOK_TEST_DATABASE_URL, else one of our own."""
    if given := os.environ.get("DAYBOOK_TEST_DATABASE_URL"):
        yield given
        return
    with (
        folder_for_services() as folder,
        services(Settings(data_dir=folder / "var")) as found,
    ):
        make_hasty(found.database_url)
        yield found.database_url


def make_hasty(server_url: str) -> None:
    """Let a server write to disk when it likes: no test here cuts the machine's power.

    What is killed loses nothing by it, for the machine keeps what was written; and tests that make
    a database each are done in half the time.
    """
    for setting in ("fsync", "synchronous_commit", "full_page_writes"):
        run(server_url, "alter system set {} = off", setting)
    run(server_url, "alter system set {} = '256MB'", "max_wal_size")  # it may be in memory
    run(server_url, "select pg_reload_conf()")


@pytest.fixture(scope="session")
def template_database(server_url: str) -> Iterator[str]:
    """Make a migrated database that others are copied from."""
    name = f"test_template_{uuid4().hex[:12]}"
    run(server_url, "create database {}", name)
    migrate(address(server_url, name))
    yield name
    run(server_url, "drop database {} with (force)", name)


@pytest.fixture(scope="module")
def database_url(server_url: str, template_database: str) -> Iterator[str]:
    """Make a fresh migrated database for the tests of one file."""
    with fresh_database(server_url, template_database) as url:
        yield url


@contextmanager
def fresh_database(server_url: str, template: str) -> Iterator[str]:
    """Make a copy of a database while the block lasts, and give its address."""
    name = f"test_{uuid4().hex[:12]}"
    run(server_url, f"create database {{}} template {{}} strategy {strategy()}", name, template)
    yield address(server_url, name)
    run(server_url, "drop database {} with (force)", name)


def strategy() -> str:
    """Return how databases are copied soonest: whole files, unless a disk has to be waited for."""
    return "file_copy" if in_memory() else "wal_log"


@contextmanager
def tampering(database_url: str) -> Iterator[Connection[TupleRow]]:
    """Lend a connection of a superuser, in UTC, whom the guards of the log do not stop."""
    options = "-c session_replication_role=replica -c timezone=UTC"
    with psycopg.connect(database_url, autocommit=True, options=options) as connection:
        yield connection


def address(server_url: str, database: str) -> str:
    """Return the address of another database on the same server."""
    return make_url(server_url).set(database=database).render_as_string(hide_password=False)


def run(server_url: str, statement: str, *names: str) -> None:
    """Run a statement about databases, outside of any transaction."""
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(sql.SQL(statement).format(*(sql.Identifier(name) for name in names)))
