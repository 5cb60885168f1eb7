"""A fresh, migrated database for each test."""

from collections.abc import Iterator
from uuid import uuid4

import pytest

from tests.conftest import address, run


@pytest.fixture
def database_url(server_url: str, template_database: str) -> Iterator[str]:
    """Give the address of a database of the test's own."""
    name = f"test_read_{uuid4().hex[:12]}"
    run(server_url, "create database {} template {}", name, template_database)
    yield address(server_url, name)
    run(server_url, "drop database {} with (force)", name)
