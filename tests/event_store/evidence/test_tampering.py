"""Whoever has power over Postgres can change the log, and cannot hide it."""

import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import LiteralString

import pytest
from psycopg import sql

from event_store.connections import connect
from event_store.evidence import growing
from event_store.evidence.findings import Kind
from event_store.evidence.heads import LogRewritten, root_at, sign
from event_store.evidence.notes import Head, Signer, signed
from event_store.evidence.verification import Asked, verify
from tests.conftest import fresh_database
from tests.event_store.evidence.given import Lent, attested, found, record, signer_of, undone

EVENTS, LATER = 600, 40
NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def heads(database_url: str) -> list[Head]:
    """Record events, sign, record more, sign again."""
    made = []
    with connect(database_url, name="test") as connection:
        for count in (EVENTS, LATER):
            record(database_url, count)
            made.append(attested(connection))
    return made


@pytest.fixture
def lent(database_url: str, heads: list[Head]) -> Iterator[Lent]:
    assert heads
    with undone(database_url) as connection:
        yield connection


def edit(connection: Lent, position: int) -> None:
    connection.execute(
        """update events set data = jsonb_set(data, '{text}', '"forged"') where position = %s""",
        [position],
    )


def forget_tree(connection: Lent, size: int) -> None:
    """Take the stored tree back to a size, as if it had never been larger."""
    connection.execute("delete from log_heads where size > %s", [size])
    connection.execute("update log_tree set size = 0")
    connection.execute("delete from log_tiles")


RENUMBER = """
update events set position = -position where position > %(after)s;
update events set position = -position + %(by)s where position < 0
"""


def renumber(connection: Lent, after: int, by: int) -> None:
    """Move all events after a position."""
    for statement in RENUMBER.split(";"):
        connection.execute(
            statement.encode(), {"after": after, "by": by} if "%" in statement else None
        )
    connection.execute("update log_head set position = position + %s", [by])


def insert_copy(connection: Lent, position: int, at: int) -> None:
    connection.execute(
        """insert into events select (jsonb_populate_record(e, jsonb_build_object(
               'position', %s::bigint, 'stream_id', gen_random_uuid()))).* from events e
            where position = %s""",
        [at, position],
    )


def delete_quietly(connection: Lent) -> None:
    connection.execute("delete from events where position = 300")
    renumber(connection, 300, -1)


def insert_quietly(connection: Lent) -> None:
    renumber(connection, 299, 1)
    insert_copy(connection, 10, 300)


def swap(connection: Lent, one: int, other: int) -> None:
    for position, now in ((one, -1), (other, one), (-1, other)):
        connection.execute("update events set position = %s where position = %s", [now, position])


Act = Callable[[Lent], object]
ACTS: list[tuple[Act, Kind, int]] = [
    (lambda c: edit(c, 300), "altered", 300),
    (lambda c: edit(c, EVENTS + LATER), "altered", EVENTS + LATER),
    (lambda c: c.execute("update events set actor_id = 'eve' where position = 1"), "altered", 1),
    (lambda c: c.execute("delete from events where position = 300"), "missing", 300),
    (delete_quietly, "missing", 300),
    (insert_quietly, "inserted", 300),
    (lambda c: insert_copy(c, 10, EVENTS + LATER + 1), "inserted", EVENTS + LATER + 1),
    (lambda c: insert_copy(c, 10, 0), "inserted", 0),
    (lambda c: swap(c, 200, 300), "swapped", 200),
    (lambda c: swap(c, 300, 301), "swapped", 300),
    (lambda c: c.execute("delete from events where position > 630"), "missing", 631),
    (
        lambda c: (
            c.execute("delete from events where position > 630"),
            c.execute("update log_head set position = 630"),
        ),
        "missing",
        631,
    ),
    (lambda c: c.execute("update log_heads set note = replace(note, '2026', '2025')"), "head", 600),
    (
        lambda c: c.execute(
            "update log_tiles set hashes = set_byte(hashes, 40, 0) where index = 1"
        ),
        "tree",
        1,
    ),
]


def test_a_log_that_nobody_touched_holds(lent: Lent, heads: list[Head]) -> None:
    assert found(lent, *heads) is None
    assert found(lent, first=100, last=200) is None
    verified = verify(lent, Asked(trusted=[signer_of(lent).public]), lambda _now, _end: None)
    assert (verified.events, verified.heads, verified.pending) == (EVENTS + LATER, 2, 0)


@pytest.mark.parametrize(("act", "kind", "position"), ACTS)
def test_the_first_wrong_event_is_named(lent: Lent, act: Act, kind: Kind, position: int) -> None:
    act(lent)
    finding = found(lent)
    assert finding is not None
    assert (finding.kind, finding.position) == (kind, position)


def test_what_is_altered_outside_of_a_range_is_not_looked_at(lent: Lent) -> None:
    edit(lent, 300)
    assert found(lent, first=520, last=600) is None
    finding = found(lent, first=290, last=310)
    assert finding is not None
    assert finding.position == 300


IN_A_RANGE: list[tuple[Act, Kind, int]] = [
    (lambda c: edit(c, 300), "altered", 300),
    (lambda c: c.execute("delete from events where position = 300"), "missing", 300),
    (delete_quietly, "missing", 300),
    (insert_quietly, "inserted", 300),
    (lambda c: swap(c, 300, 301), "swapped", 300),
    (lambda c: swap(c, 300, 630), "swapped", 300),
    (lambda c: swap(c, 20, 300), "swapped", 300),
]


@pytest.mark.parametrize(("act", "kind", "position"), IN_A_RANGE)
def test_the_first_wrong_event_of_a_range_is_named(
    lent: Lent, act: Act, kind: Kind, position: int
) -> None:
    act(lent)
    finding = found(lent, first=290, last=310)
    assert finding is not None
    assert (finding.kind, finding.position) == (kind, position)
    since = Asked(trusted=[signer_of(lent).public], start=Head("", 256, root_at(lent, 256), NOON))
    finding = verify(lent, since, lambda _now, _end: None).finding
    assert finding is not None
    assert (finding.kind, finding.position) == (kind, position)


def test_an_event_rewritten_with_the_tree_over_it_is_caught_by_the_heads(lent: Lent) -> None:
    edit(lent, 300)
    lent.execute("update log_tree set size = 0")
    lent.execute("delete from log_tiles")
    growing.grow(lent)
    finding = found(lent)
    assert finding is not None
    assert (finding.kind, finding.position, finding.other) == ("rewritten", 1, EVENTS)
    for range_ in ((290, 310), (1, 10)):
        ranged = found(lent, first=range_[0], last=range_[1])
        assert ranged is not None
        assert ranged.kind == "rewritten"


def test_a_tail_rewritten_with_tree_and_heads_is_caught_by_a_published_head(
    lent: Lent, heads: list[Head]
) -> None:
    edit(lent, EVENTS + 10)
    forget_tree(lent, EVENTS)
    growing.grow(lent)
    # Even by somebody who has stolen the key.
    assert sign(lent, [signer_of(lent)], timedelta(0))
    assert found(lent) is None
    finding = found(lent, heads[1])
    assert finding is not None
    assert (finding.kind, finding.position) == ("rewritten", EVENTS + 1)


@pytest.mark.parametrize("cut", [False, True], ids=["rewritten", "cut"])
def test_a_range_is_compared_with_a_published_head_of_more_than_the_range(
    lent: Lent, heads: list[Head], *, cut: bool
) -> None:
    """Its later heads are gone from the database, with the tree they were of."""
    edit(lent, 400)
    if cut:
        lent.execute("delete from events where position > 550")
        lent.execute("update log_head set position = 550")
    forget_tree(lent, 0)
    growing.grow(lent)
    head = Head(heads[0].origin, 300, root_at(lent, 300), heads[0].signed_at)
    insert = "insert into log_heads (size, root, signed_at, note) values (300, %s, %s, %s)"
    note = signed(head.text, [signer_of(lent)])  # of before
    lent.execute(insert, [head.root, head.signed_at, note])
    assert found(lent, first=200, last=450) is None
    finding = found(lent, *heads, first=200, last=450)
    assert finding is not None
    expected = ("missing", 551) if cut else ("rewritten", 1)
    assert (finding.kind, finding.position) == expected


def test_a_tail_cut_off_with_tree_and_heads_is_caught_by_a_published_head(
    lent: Lent, heads: list[Head]
) -> None:
    lent.execute("delete from events where position > %s", [EVENTS])
    lent.execute("update log_head set position = %s", [EVENTS])
    forget_tree(lent, EVENTS)
    growing.grow(lent)
    assert found(lent) is None
    finding = found(lent, heads[1])
    assert finding is not None
    assert (finding.kind, finding.position) == ("missing", EVENTS + 1)


def test_the_end_that_the_tree_does_not_cover_yet_is_looked_at_too(lent: Lent) -> None:
    first, middle, last = (EVENTS + LATER + more for more in (1, 2, 3))
    for position in (first, middle, last):
        insert_copy(lent, 10, position)
    lent.execute("update log_head set position = %s", [last])
    assert found(lent) is None
    lent.execute("delete from events where position = %s", [middle])
    finding = found(lent)
    assert finding is not None, "one is missing in the middle"
    assert (finding.kind, finding.position) == ("missing", first)
    insert_copy(lent, 10, middle)
    lent.execute("delete from events where position = %s", [last])
    finding = found(lent)
    assert finding is not None
    assert (finding.kind, finding.position) == ("missing", last)


def test_what_contradicts_a_signed_head_is_not_signed(lent: Lent) -> None:
    edit(lent, 300)
    insert_copy(lent, 10, EVENTS + LATER + 1)
    lent.execute("update log_head set position = position + 1")
    lent.execute("update log_tree set size = 0")
    lent.execute("delete from log_tiles")
    growing.grow(lent)
    with pytest.raises(LogRewritten):
        sign(lent, [signer_of(lent)], timedelta(0))


def test_a_head_by_another_key_vouches_for_nothing(lent: Lent) -> None:
    lent.execute("delete from log_heads")
    sign(lent, [Signer(signer_of(lent).public.name, b"e" * 32)], timedelta(0))
    finding = found(lent)
    assert finding is not None
    assert finding.kind == "head"


TEXTS = ("stream_type", "name", "actor_id", "actor_role", "request_id", "correlation_id", "command")
CHANGES: dict[str, LiteralString] = {
    **dict.fromkeys(TEXTS, "update events set {} = {} || 'x' where position = %s"),
    "version": "update events set {} = {} + 1000 where position = %s",
    "schema_version": "update events set {} = {} + 1 where position = %s",
    "causation_id": "update events set {} = coalesce({}, 0) + 1 where position = %s",
    "stream_id": "update events set {} = gen_random_uuid() where {} is not null and position = %s",
    "command_id": "update events set {} = gen_random_uuid() where {} is not null and position = %s",
    "data": "update events set {} = {} || jsonb_build_object('x', 1) where position = %s",
    "occurred_at": "update events set {} = {} + interval '1 us' where position = %s",
    "recorded_at": "update events set {} = {} + interval '1 us' where position = %s",
}


def tamper(connection: Lent, chance: random.Random, last: int) -> int:
    """Do one thing at random to the log and return the first position at which it is wrong."""
    position = chance.randint(1, last)
    match chance.randrange(20):
        case 0:
            connection.execute("delete from events where position = %s", [position])
        case 1:
            other = chance.choice([one for one in range(1, last + 1) if one != position])
            swap(connection, position, other)
            return min(position, other)
        case 2:
            insert_copy(connection, position, last + 1)
            return last + 1
        case 3:
            connection.execute("delete from events where position >= %s", [position])
        case _:
            column, change = chance.choice(list(CHANGES.items()))
            name = sql.Identifier(column)
            connection.execute(sql.SQL(change).format(name, name), [position])
    return position


def test_a_thousand_tampers_are_a_thousand_findings(
    server_url: str, template_database: str
) -> None:
    with fresh_database(server_url, template_database) as url:
        last = 20
        record(url, last)
        chance = random.Random(20_261_125)  # noqa: S311 - to be repeated, not to be secret
        with connect(url, name="test") as honest:
            attested(honest)
        hit = 0
        with undone(url) as connection:
            connection.commit()
            for _ in range(1_000):
                wrong = tamper(connection, chance, last)
                finding = found(connection)
                hit += finding is not None and finding.position == wrong
                connection.rollback()
        assert hit == 1_000
