"""Whoever has power over Postgres can change the records of accesses, and cannot hide it."""

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from psycopg.types.json import Jsonb

from event_store.connections import connect
from event_store.evidence.access_chain import newest_access_note, sign_accesses, verify_accesses
from event_store.evidence.findings import Finding
from event_store.evidence.heads import LogRewritten, head_in, origin_of
from event_store.evidence.notes import Head
from event_store.history.accesses import WITHHELD, Access, kept, note
from tests.event_store.evidence.given import NOW, SEED, Lent, signer_of, undone

RECORDS = 12
HOUR = timedelta(hours=1)
Act = Callable[[Lent], object]


def asks(connection: Lent, count: int = 1) -> None:
    """Let an auditor ask so many questions."""
    for number in range(count):
        asked = {"positionFrom": number}
        note(connection, Access("auditor-7", "auditor", "r-1", "events", asked), number)


@pytest.fixture(scope="module")
def signed_at_ten(database_url: str) -> Head:
    """Record ten accesses, sign them, and record two more."""
    with connect(database_url, name="test") as connection:
        asks(connection, 10)
        signed = sign_accesses(connection, origin_of(connection), [SEED], NOW)
        assert signed is not None
        asks(connection, RECORDS - 10)
    return head_in(signed)


@pytest.fixture
def lent(database_url: str, signed_at_ten: Head) -> Iterator[Lent]:
    assert signed_at_ten
    with undone(database_url) as connection:
        yield connection


def verified(connection: Lent, *published: Head) -> tuple[int, Finding | None]:
    return verify_accesses(connection, [signer_of(connection).public], published)


def rechain(connection: Lent) -> None:
    """Write all hashes anew, as somebody would who knows how they are made."""
    rows = connection.execute(
        "select kind, actor_id, actor_role, request_id, action, asked, rows"
        " from audit_accesses order by number"
    ).fetchall()
    connection.execute("delete from audit_accesses")
    connection.execute("update access_chain set number = 0, hash = sha256('')")
    connection.execute("set session_replication_role = origin")
    for *row, asked, count in rows:
        connection.execute(
            "insert into audit_accesses (kind, actor_id, actor_role, request_id, action, asked,"
            " rows) values (%s, %s, %s, %s, %s, %s, %s)",
            [*row, Jsonb(asked), count],
        )
    connection.execute("set session_replication_role = replica")


def change(column: str, value: str) -> Act:
    return lambda connection: connection.execute(
        f"update audit_accesses set {column} = {value} where number = 5".encode()  # noqa: S608 - the test's own
    )


def cut_off(connection: Lent) -> None:
    connection.execute("delete from audit_accesses where number > 11")
    connection.execute(
        "update access_chain set (number, hash) ="
        " (select number, hash from audit_accesses where number = 11)"
    )


def close_the_gap(connection: Lent) -> None:
    connection.execute("delete from audit_accesses where number = 5")
    connection.execute("update audit_accesses set number = number - 1 where number > 5")
    connection.execute("update access_chain set number = number - 1")


ACTS: list[tuple[Act, int]] = [
    (change("kind", "'export'"), 5),
    (change("actor_id", "'somebody else'"), 5),
    (change("actor_role", "'admin'"), 5),
    (change("request_id", "'r-2'"), 5),
    (change("action", "'head'"), 5),
    (change("asked", "'{}'"), 5),
    (change("rows", "0"), 5),
    (change("at", "at + interval '1 us'"), 5),
    (change("hash", "sha256('x')"), 5),
    (lambda c: c.execute("delete from audit_accesses where number = 5"), 5),
    (close_the_gap, 5),
    (lambda c: c.execute("delete from audit_accesses where number > 11"), 12),
    (lambda c: c.execute("delete from audit_accesses"), 1),
    (lambda c: c.execute("update audit_accesses set number = 0 where number = 5"), 0),
    (lambda c: c.execute("update access_chain set number = 11"), 12),
    (lambda c: c.execute("delete from access_chain"), 12),
]


def test_records_that_nobody_touched_hold(lent: Lent, signed_at_ten: Head) -> None:
    assert verified(lent) == (RECORDS, None)
    assert verified(lent, signed_at_ten) == (RECORDS, None)


@pytest.mark.parametrize(("act", "number"), ACTS)
def test_the_first_wrong_record_is_named(lent: Lent, act: Act, number: int) -> None:
    act(lent)
    _, finding = verified(lent)
    assert finding is not None
    assert (finding.kind, finding.position) == ("access", number)


def test_a_record_rewritten_with_the_chain_is_caught_by_a_signed_end(lent: Lent) -> None:
    change("actor_id", "'somebody else'")(lent)
    rechain(lent)
    _, finding = verified(lent)
    assert finding is not None
    assert finding.position == 10


def test_signed_ends_that_are_rewritten_too_are_caught_by_a_published_one(
    lent: Lent, signed_at_ten: Head
) -> None:
    change("actor_id", "'somebody else'")(lent)
    rechain(lent)
    lent.execute("delete from access_heads")
    assert sign_accesses(lent, origin_of(lent), [SEED], NOW)  # even with the stolen key
    assert verified(lent)[1] is None
    _, finding = verified(lent, signed_at_ten)
    assert finding is not None
    assert finding.position == 10


def test_a_tail_that_is_cut_off_is_caught_once_it_was_signed(
    lent: Lent, signed_at_ten: Head
) -> None:
    cut_off(lent)
    assert verified(lent)[1] is None  # nobody has signed the last two yet
    lent.execute("delete from audit_accesses where number > 9")
    rechain(lent)
    assert verified(lent)[1] is not None
    lent.execute("delete from access_heads")
    assert verified(lent)[1] is None
    _, finding = verified(lent, signed_at_ten)
    assert finding is not None
    assert (finding.position, "missing" in finding.sentence) == (10, True)


def test_another_key_vouches_for_nothing(lent: Lent) -> None:
    assert sign_accesses(lent, origin_of(lent), [b"e" * 32], NOW)
    _, finding = verified(lent)
    assert finding is not None
    assert "No trusted key" in finding.sentence


def test_what_contradicts_the_signed_end_is_not_signed(lent: Lent) -> None:
    change("actor_id", "'somebody else'")(lent)
    rechain(lent)
    with pytest.raises(LogRewritten, match="access 10"):
        sign_accesses(lent, origin_of(lent), [SEED], NOW)


def test_ends_are_signed_when_there_is_something_new_and_not_too_often(lent: Lent) -> None:
    origin = origin_of(lent)
    assert sign_accesses(lent, origin, [SEED], HOUR) is None
    assert sign_accesses(lent, origin, [SEED], NOW)
    assert sign_accesses(lent, origin, [SEED], NOW) is None
    assert head_in(newest_access_note(lent) or "").size == RECORDS


def test_the_application_chooses_neither_number_nor_time_nor_hash(database_url: str) -> None:
    with (
        connect(database_url, name="test") as connection,
        connection.transaction(force_rollback=True),
    ):
        connection.execute(
            "insert into audit_accesses values"
            " (99, '2000-01-01', 'question', 'eve', 'admin', 'r', 'events', '{}', 0, '')"
        )
        query = "select max(number), max(at) > now() - interval '1 hour' from audit_accesses"
        row = connection.execute(query).fetchone()
        assert row is not None
        assert (row[0] < 99, row[1]) == (True, True)
        assert verified(connection)[1] is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("data.email", "zoe@example.com"),
        ("data.name", "Zoë"),
        ("data.trackingNumber", "MOONLANE7"),
        ("data.tracking_number", "MOONLANE7"),
        ("data.lines.note", "Moonlane 7"),
        ("data.sku", "zoe@example.com"),
        ("actorId", "Zoë Quillfeather"),
        ("address", "198.51.100.7"),
        ("name", "Zoe"),
        ("account", "zoe@example.com"),
    ],
)
def test_what_may_tell_of_a_person_is_not_recorded(name: str, value: str) -> None:
    assert kept({name: value}) == {name: WITHHELD}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("data.sku", "A-1"),
        ("data.lines.quantity", "3"),
        ("data.amount.amount", "38.25"),
        ("name", "order.placed"),
        ("actorId", "0198c4a5-0000-7000-8000-000000000001"),
        ("actorId", "operator:root"),
        ("occurredFrom", "2026-11-25T04:20:00+00:00"),
        ("limit", "20"),
    ],
)
def test_ids_numbers_times_and_names_of_events_are_recorded(name: str, value: str) -> None:
    assert kept({name: value}) == {name: value}
