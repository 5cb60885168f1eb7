"""Where each stream has its own row, a worker reads only the streams whose rows it holds."""

from functools import partial
from itertools import combinations

import pytest

from event_store import reading
from event_store.connections import connect
from projections.projection import PARTITIONS, OwnRow, Projection, partition_of, share_of
from projections.switched_on import PROJECTIONS
from tests.event_store.given import keyring
from tests.projections.given import STORY, append

OWN_ROWS = [one for one in PROJECTIONS.values() if isinstance(one.needs, OwnRow)]
SHARES = [held for count in range(1, PARTITIONS) for held in combinations(range(PARTITIONS), count)]


def test_the_views_with_own_rows_are_those_that_are_meant() -> None:
    assert {one.name for one in OWN_ROWS} == {"orders", "products"}


@pytest.mark.parametrize("projection", OWN_ROWS, ids=lambda one: one.name)
def test_a_share_is_the_events_of_its_partitions(database_url: str, projection: Projection) -> None:
    append(database_url, STORY)
    read = partial(
        reading.page_from, names=projection.event_names, most=len(STORY) + 1, keyring=keyring()
    )
    with connect(database_url, name="test") as connection:
        end, everything = read(connection, 0, len(STORY))
        for held in SHARES:
            reached, found = read(connection, 0, len(STORY), share=share_of(held))
            assert found == [one for one in everything if partition_of(one.stream_id) in held]
            assert reached == end
    assert share_of(range(PARTITIONS)) is None
