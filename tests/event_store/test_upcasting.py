"""Events of older versions are read as the newest, wherever the log is read; bytes stay."""

from uuid import UUID

import pytest

from event_store.connections import connect
from event_store.event_types import (
    EVENT_TYPES,
    STORED_AS,
    EventTypes,
    UnknownEvent,
    UnreadableEvent,
)
from event_store.loader import Wanted
from event_store.reading import page, stream
from event_store.schemas import FILE, differences, read
from event_store.upcasters import Data
from tests.conftest import tampering
from tests.event_store.asynchronous import on_a_loop
from tests.event_store.evolved import STORED, TYPES, UPCASTERS, Moved, rule
from tests.event_store.given import appending, change, command, keyring, noting, rows
from tests.event_store.test_reading import opened

LEEDS = Moved("Leeds", "GB")
ONE = UUID(int=1)


@pytest.mark.parametrize("version", STORED)
def test_every_version_is_read_as_the_newest(version: int) -> None:
    assert TYPES.decode("user.moved", version, STORED[version], 7) == LEEDS


def test_only_the_newest_version_is_written() -> None:
    assert TYPES.encode(LEEDS) == ("user.moved", 3, STORED[3])


def test_an_event_of_the_newest_version_meets_no_upcaster() -> None:
    def fail(data: Data) -> Data:
        raise AssertionError(data)

    types = EventTypes(TYPES.stored_as, dict.fromkeys(UPCASTERS, fail))
    assert types.decode("user.moved", 3, STORED[3]) == LEEDS


def test_versions_of_one_event_have_one_name() -> None:
    assert TYPES.names_of([Moved]) == ["user.moved"]


def test_a_version_after_the_newest_or_before_a_gap_is_unknown() -> None:
    types = EventTypes(TYPES.stored_as, {key: UPCASTERS[key] for key in [("user.moved", 1)]})
    for version in (0, 1, 2, 4):
        with pytest.raises(UnknownEvent, match=rf"user\.moved version {version} at position 7"):
            types.decode("user.moved", version, STORED[1], 7)


@pytest.mark.parametrize("data", ["", "[]", "null", "{}", '{"place": 1}', '{"place": "\ud800"}'])
def test_old_bytes_that_do_not_fit_are_named(data: str) -> None:
    with pytest.raises(UnreadableEvent, match=r"user\.moved version 1 at position 7"):
        TYPES.decode("user.moved", 1, data, 7)


def put_in(database_url: str) -> None:
    """Give the events of the log's one stream the old forms."""
    with tampering(database_url) as connection:
        for version, data in STORED.items():
            connection.execute(
                "update events set name = 'user.moved', schema_version = %s, data = %s"
                " where position = %s",
                [version, data, version],
            )


@on_a_loop
async def test_streams_and_pages_are_upcast_and_the_bytes_stay(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(database_url) as store:
        for version in range(3):
            await store.append(noting(ONE, version))
        put_in(database_url)
        query = "select position, xmin::text, schema_version, data::text from events order by 1"
        before = rows(database_url, query)
        rule(monkeypatch, TYPES)
        assert await store.load(ONE) == [LEEDS] * 3
        with connect(database_url, name="test") as connection:
            assert [one.event for one in page(connection, 0, 9, ["user.moved"])] == [LEEDS] * 3
            assert stream(connection, ONE, keyring()) == [LEEDS] * 3
        assert rows(database_url, query) == before


@on_a_loop
async def test_what_is_appended_to_an_old_stream_has_the_newest_version(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with appending(database_url) as appender:
        for version in range(3):
            await appender.append(noting(ONE, version))
        put_in(database_url)
        rule(monkeypatch, TYPES)
        await appender.append(command(change(ONE, 3, LEEDS)))
    query = "select name, schema_version from events where position = 4"
    assert rows(database_url, query) == [("user.moved", 3)]


@on_a_loop
@pytest.mark.parametrize(
    ("name", "version", "said"),
    [
        ("order.gift_wrapped", 1, r"order\.gift_wrapped version 1 at position 2: a newer release"),
        ("order.note_added", 3, r"order\.note_added version 3 at position 2: a newer release"),
    ],
)
async def test_a_stream_with_an_event_of_a_newer_release_is_refused_and_no_other(
    database_url: str, name: str, version: int, said: str
) -> None:
    two = UUID(int=2)
    async with opened(database_url) as store:
        await store.append(noting(ONE))
        await store.append(noting(ONE, 1))
        await store.append(noting(two))
        with tampering(database_url) as connection:
            connection.execute(
                "update events set name = %s, schema_version = %s where position = 2",
                [name, version],
            )
        with pytest.raises(UnknownEvent, match=said):
            await store.load(ONE)
        with pytest.raises(UnknownEvent, match=said):
            await store.load_after([Wanted(two), Wanted(ONE)])
        assert len(await store.load(two)) == 1
        assert (await store.append(noting(two, 1))).position == 4


def test_the_lists_of_this_release_agree_with_the_file() -> None:
    assert list(differences(EVENT_TYPES, read(FILE))) == []
    assert set(STORED_AS) <= EVENT_TYPES.readable
