"""A whole Daybook to ask, in which nobody is told to wait."""

from collections.abc import Iterator

import pytest

from tests.stories.running import Running, running_daybook


@pytest.fixture(scope="package")
def daybook() -> Iterator[Running]:
    """Run a Daybook without limits."""
    with running_daybook(DAYBOOK_LOGIN_RATE_LIMIT="off", DAYBOOK_RATE_LIMIT="off") as running:
        yield running
