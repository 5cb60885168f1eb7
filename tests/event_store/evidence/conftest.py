"""A log for the tests of one file; what they do to it is undone."""

from collections.abc import Iterator
from uuid import uuid4

import pytest

from tests.conftest import address, run


@pytest.fixture(scope="module")
def database_url(server_url: str, template_database: str) -> Iterator[str]:
    """Return the address of a database of the file's own."""
    name = f"test_{uuid4().hex[:12]}"
    run(server_url, "create database {} template {}", name, template_database)
    yield address(server_url, name)
    run(server_url, "drop database {} with (force)", name)
