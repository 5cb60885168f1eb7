"""The one Daybook that most stories share."""

from collections.abc import Iterator

import pytest

from tests.stories.running import Running, running_daybook


@pytest.fixture(scope="session")
def daybook() -> Iterator[Running]:
    """Run a Daybook for all the stories of this process."""
    with running_daybook() as running:
        yield running
