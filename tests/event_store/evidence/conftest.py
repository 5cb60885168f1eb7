"""A log for the tests of one file; what they do to it is undone."""

from collections.abc import Iterator

import pytest

from tests.conftest import fresh_database


@pytest.fixture(scope="module")
def database_url(server_url: str, template_database: str) -> Iterator[str]:
    """Return the address of a database of the file's own."""
    with fresh_database(server_url, template_database) as url:
        yield url
