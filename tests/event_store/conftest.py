"""A fresh, migrated database for every test: positions in it begin with 1."""

from collections.abc import Iterator

import pytest

from tests.conftest import fresh_database


@pytest.fixture
def database_url(server_url: str, template_database: str) -> Iterator[str]:
    """Return the address of a database of the test's own."""
    with fresh_database(server_url, template_database) as url:
        yield url
