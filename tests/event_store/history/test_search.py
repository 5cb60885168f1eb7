"""The index leaves nothing out: what it finds is what looking at every event finds."""

import asyncio
import random
from array import array
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from event_store.connections import connect, connect_async
from event_store.history import lookups, volumes
from event_store.history.postings import (
    BITMAP,
    BLOCK,
    bitmap,
    in_all,
    index_block,
    packed,
)
from event_store.history.questions import Question
from event_store.history.search import find, scan
from event_store.history.volumes import bind_volume
from tests.conftest import fresh_database, tampering

EVENTS = 3 * BLOCK + 700
START = datetime(2026, 1, 1, tzinfo=UTC)
FILL = """
insert into events (
    position, stream_id, stream_type, version, name, schema_version, data, actor_id, actor_role,
    request_id, correlation_id, causation_id, command_id, command, occurred_at, recorded_at
)
select n, ('00000000-0000-0000-0000-' || lpad(n::text, 12, '0'))::uuid,
       case n %% 3 when 0 then 'user' else 'order' end, 1, 'thing.' || n %% 5, 1,
       jsonb_build_object(
           'sku', 'A-' || n %% 977, 'price', n %% 40 / 4.0, 'open', n %% 2 = 0, 'none', null,
           'user_id', ('00000000-0000-0000-0000-' || lpad((n %% 100)::text, 12, '0')),
           'lines', jsonb_build_array(jsonb_build_object('q', n %% 7), jsonb_build_object('q', 7))
       ),
       'actor-' || n %% 300, 'staff', 'request-' || n / 3, 'correlation-' || n / 9,
       case when n %% 50 = 0 then n - 1 end, gen_random_uuid(), 'Command' || n %% 11,
       %(start)s::timestamptz - (n %% 1000) * interval '1 minute' + n / 1000 * interval '1 day',
       %(start)s::timestamptz + n * interval '1 second'
  from generate_series(1, %(events)s) as n
"""


@pytest.fixture(scope="module")
def database_url(server_url: str, template_database: str) -> Iterator[str]:
    """Return the address of a database with two bound blocks, one that is not, and some events."""
    with fresh_database(server_url, template_database) as url:
        with tampering(url) as connection:
            connection.execute(FILL.encode(), {"start": START, "events": EVENTS})
            connection.execute("update log_head set position = %s", [EVENTS])
            connection.execute("analyze events")
        with connect(url, name="test") as connection, pytest.MonkeyPatch.context() as patch:
            assert [index_block(connection) for _ in range(4)] == [True, True, True, False]
            patch.setattr(volumes, "VOLUME", 2)
            patch.setattr(lookups, "VOLUME", 2)
            assert [bind_volume(connection) for _ in range(2)] == [True, False]
            blocks = "select array_agg(distinct block) from history_postings"
            assert connection.execute(blocks).fetchone() == ([2],)
            yield url


CONDITIONS: list[dict[str, object]] = [
    {"facts": {"name": "thing.3"}},
    {"facts": {"actor_id": "actor-17"}},
    {"facts": {"request_id": "request-5000"}},
    {"facts": {"correlation_id": "correlation-777"}},
    {"facts": {"causation_id": "16399"}},
    {"facts": {"command": "Command4", "stream_type": "user"}},
    {"facts": {"name": "nothing"}},
    {"subject": UUID(int=0x42)},
    {"subject": UUID("00000000-0000-0000-0000-000000012345")},
    {"stream_id": UUID("00000000-0000-0000-0000-000000000042")},
    {"data": {"data.sku": "A-1"}},
    {"data": {"data.price": "2.50"}},
    {"data": {"data.price": "2.5", "data.lines.q": "7", "data.open": "true"}},
    {"data": {"data.none": "null"}},
    {"data": {"data.sku": "A-9999"}},
    {"occurred": (START + timedelta(days=3), START + timedelta(days=3, hours=2))},
    {"recorded": (START + timedelta(seconds=16_300), START + timedelta(seconds=16_500))},
    {"positions": (16_000, 17_000)},
    {"positions": (20_000, 21_000)},
    {},
]


@pytest.mark.parametrize("first", range(len(CONDITIONS)))
def test_what_the_index_finds_is_what_looking_at_every_event_finds(
    database_url: str, first: int
) -> None:
    chance = random.Random(first)  # noqa: S311 - to be repeated
    asyncio.run(compare(database_url, CONDITIONS[first], chance))


async def compare(database_url: str, condition: dict[str, object], chance: random.Random) -> None:
    """Ask one question alone, and with others at random, in both directions."""
    connection = await connect_async(database_url, name="test")
    try:
        for other in ({}, *chance.sample(CONDITIONS, 4)):
            for descending in (True, False):
                question = Question(**{**other, **condition}, descending=descending)
                limit = chance.choice([1, 20, 200])
                found = await find(connection, question, limit)
                low, high = question.positions
                span = (low or 1, high or EVENTS + 1)
                assert found == await scan(connection, question, span, limit)
    finally:
        await connection.close()


@given(st.lists(st.sets(st.integers(0, BLOCK - 1), max_size=3_000), min_size=1, max_size=3))
def test_places_come_back_as_they_were_packed(buckets: list[set[int]]) -> None:
    everywhere = bitmap(array("H", range(BLOCK)))
    stored = [packed(array("H", sorted(places))) for places in buckets]
    assert all(len(one) <= BITMAP for one in stored)
    assert in_all(stored) == in_all([*stored, everywhere]) == sorted(set.intersection(*buckets))


def test_many_places_are_a_bitmap() -> None:
    even = array("H", range(0, BLOCK, 2))
    everywhere = array("H", range(BLOCK))
    assert len(packed(even)) == len(packed(everywhere)) == BITMAP
    assert in_all([packed(even), packed(everywhere)]) == [*even]
    assert in_all([packed(even), packed(array("H", range(1, BLOCK, 2)))]) == []
