"""A fresh, migrated database and an SMTP server for each test."""

from collections.abc import Iterator
from itertools import count

import pytest

from tests.conftest import fresh_database
from tests.reactions.post_office import PostOffice

NUMBERS = count(1)


@pytest.fixture
def database_url(server_url: str, template_database: str) -> Iterator[str]:
    """Return the address of a database of the test's own."""
    with fresh_database(server_url, template_database) as url:
        yield url


@pytest.fixture
def post_office() -> Iterator[PostOffice]:
    """Give an SMTP server that is open."""
    office = PostOffice()
    office.open()
    yield office
    office.shut()
