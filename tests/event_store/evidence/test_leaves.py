"""A leaf is the event as it is stored: all of it, and the same whoever reads it."""

import asyncio
from uuid import UUID

import psycopg
import pytest

from domain.user import UserForgotten
from event_store.connections import connect
from event_store.evidence.growing import LogIncomplete, grow, size_of
from event_store.evidence.leaves import COLUMNS, leaves, lines_of
from event_store.evidence.merkle import leaf_hash
from event_store.records import Append, StreamChange
from tests.event_store.evidence.given import record, undone
from tests.event_store.given import appending, command, positions
from tests.event_store.privacy.test_keys_killed import register

AWKWARD = 'tab\there, line\nthere, back\\slash, quote", {} ünï \U0001f4d6 \\N \\.'


def test_a_leaf_is_the_line_of_every_column_but_the_position(database_url: str) -> None:
    record(database_url, 3, AWKWARD)
    with connect(database_url, name="test") as connection:
        columns = connection.execute(
            "select column_name from information_schema.columns where table_name = 'events'"
        ).fetchall()
        lines = list(lines_of(connection, 0, 3))
        assert {name for (name,) in columns} == {*COLUMNS.split(", "), "position"}
        assert leaves(connection, 0, 3) == [leaf_hash(line) for line in lines]
        for line in lines:
            assert line.startswith(b"1\t")
            assert line.endswith(b"+00\n")
            assert line.count(b"\n") == 1
            assert line.count(b"\t") == len(columns) - 1


def test_what_is_hashed_of_a_person_is_sealed_and_stays_when_they_are_forgotten(
    database_url: str,
) -> None:
    zoe, there = UUID(int=1), len(positions(database_url))
    asyncio.run(register(database_url, zoe))
    with connect(database_url, name="test") as connection:
        stored = b"".join(lines_of(connection, there, there + 2))
        before = leaves(connection, there, there + 2)
        assert stored.count(b"sealed.1.") == 4  # address, name and password's hash; the new name
        assert not [word for word in (b"zoe", "Zoë".encode(), b"argon2") if word in stored]
        late = StreamChange(zoe, "user", 2, (UserForgotten(),))
        asyncio.run(append(database_url, command(late)))
        key = "select wrapped from subject_keys where subject_id = %s"
        assert connection.execute(key, [zoe]).fetchone() == (None,)
        assert leaves(connection, there, there + 2) == before


async def append(database_url: str, wanted: Append) -> None:
    """Append a command as it is."""
    async with appending(database_url) as appender:
        await appender.append(wanted)


def test_a_leaf_is_the_same_whatever_the_server_s_settings_are(database_url: str) -> None:
    record(database_url, 1, AWKWARD)
    name = database_url.rpartition("/")[2].partition("?")[0]
    with connect(database_url, name="test") as connection:
        before = leaves(connection, 0, 1)
    for setting in (
        "timezone = 'Asia/Tokyo'",
        "datestyle = 'German'",
        "client_encoding = 'LATIN1'",
    ):
        with psycopg.connect(database_url, autocommit=True) as connection:
            connection.execute(f'alter database "{name}" set {setting}'.encode())
        with connect(database_url, name="test") as connection:
            assert leaves(connection, 0, 1) == before
        with psycopg.connect(database_url, autocommit=True) as connection:
            connection.execute(f'alter database "{name}" reset all'.encode())


def test_the_tree_does_not_grow_over_a_hole(database_url: str) -> None:
    record(database_url, 10)
    with undone(database_url) as connection:
        connection.execute("delete from events where position = 5")
        with pytest.raises(LogIncomplete):
            grow(connection)


def test_a_grower_that_dies_leaves_the_tree_as_it_was(database_url: str) -> None:
    record(database_url, 10)
    with undone(database_url) as connection:
        before = size_of(connection)
        assert grow(connection) >= 10
        grown = size_of(connection)
    with connect(database_url, name="test") as connection:
        assert size_of(connection) == before < grown
        grow(connection)
        assert size_of(connection) == grown


def test_while_one_grows_the_tree_another_returns_at_once(database_url: str) -> None:
    record(database_url, 10)
    with undone(database_url) as busy, connect(database_url, name="test") as other:
        assert grow(busy) >= 10
        assert grow(other) == 0
