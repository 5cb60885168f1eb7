"""A fresh, migrated database for a test, copied from a template."""

import os
from collections.abc import Iterator
from itertools import count
from typing import LiteralString

import psycopg
import pytest
from psycopg import sql

from daybook.migrate import migrate

SERVER = os.environ.get("DAYBOOK_TEST_SERVER", "postgresql://postgres@127.0.0.1:5499/")
NUMBERS = count(1)


def on_server(statement: LiteralString, *names: str) -> None:
    """Run one statement about databases."""
    with psycopg.connect(f"{SERVER}postgres", autocommit=True) as connection:
        connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))


@pytest.fixture(scope="session")
def template() -> Iterator[str]:
    """Return the name of a migrated database that nobody is connected to."""
    name = f"test_es_{os.getpid()}_template"
    on_server("create database {}", name)
    migrate(f"{SERVER}{name}")
    yield name
    on_server("drop database {} with (force)", name)


@pytest.fixture
def database_url(template: str) -> Iterator[str]:
    """Return the address of a database of the test's own."""
    name = f"test_es_{os.getpid()}_{next(NUMBERS)}"
    on_server("create database {} template {}", name, template)
    yield f"{SERVER}{name}"
    on_server("drop database {} with (force)", name)
