"""A fresh, migrated database and an SMTP server for each test."""

import os
from collections.abc import Iterator
from itertools import count

import pytest

from tests.conftest import address, run
from tests.reactions.post_office import PostOffice

NUMBERS = count(1)


@pytest.fixture
def database_url(server_url: str, template_database: str) -> Iterator[str]:
    """Return the address of a database of the test's own."""
    name = f"test_re_{os.getpid()}_{next(NUMBERS)}"
    run(server_url, "create database {} template {}", name, template_database)
    yield address(server_url, name)
    run(server_url, "drop database {} with (force)", name)


@pytest.fixture
def post_office() -> Iterator[PostOffice]:
    """Give an SMTP server that is open."""
    office = PostOffice()
    office.open()
    yield office
    office.shut()
