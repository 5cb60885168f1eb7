"""An append: positions, versions, several streams at once, unique values, audit columns."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import msgspec
import psycopg
import pytest

from domain.order import OrderDelivered, OrderNoteAdded
from event_store.append_sql import CALL, arguments
from event_store.records import (
    Append,
    Appended,
    Claim,
    ClaimTaken,
    StreamChange,
    VersionConflict,
)
from tests.event_store.asynchronous import on_a_loop
from tests.event_store.given import (
    AUDIT,
    answers_to,
    appending,
    change,
    command,
    everything,
    kinds,
    note,
    noting,
    positions,
    rows,
)

ONE, TWO, THREE = (UUID(int=number) for number in (1, 2, 3))
EMAIL = "user.email"


@on_a_loop
async def test_events_get_the_positions_after_one_another(database_url: str) -> None:
    async with appending(database_url) as appender:
        first = await appender.append(command(change(ONE, 0, note("a"), note("b"))))
        second = await appender.append(command(change(TWO, 0, note("c"))))
        third = await appender.append(command(change(ONE, 2, note("d"))))
    assert [first.position, second.position, third.position] == [2, 3, 4]
    found = [(e.position, e.stream_id, e.version, e.event) for e in everything(database_url)]
    assert found == [
        (1, ONE, 1, note("a")),
        (2, ONE, 2, note("b")),
        (3, TWO, 1, note("c")),
        (4, ONE, 3, note("d")),
    ]


@on_a_loop
async def test_a_stream_that_has_moved_on_is_a_conflict_that_says_how_far(
    database_url: str,
) -> None:
    async with appending(database_url) as appender:
        await appender.append(command(change(ONE, 0, note(), note())))
        for seen in (0, 1, 3):
            with pytest.raises(VersionConflict) as conflict:
                await appender.append(noting(ONE, seen))
            assert (conflict.value.stream_id, conflict.value.expected, conflict.value.found) == (
                ONE,
                seen,
                2,
            )
    assert positions(database_url) == [1, 2]


@on_a_loop
async def test_several_streams_are_appended_to_all_or_none(database_url: str) -> None:
    async with appending(database_url) as appender:
        await appender.append(
            command(change(ONE, 0, note("a")), change(TWO, 0, note("b"), note("c")))
        )
        with pytest.raises(VersionConflict) as conflict:
            await appender.append(command(change(ONE, 1, note()), change(TWO, 1, note())))
    assert conflict.value.stream_id == TWO
    assert [(e.stream_id, e.version) for e in everything(database_url)] == [
        (ONE, 1),
        (TWO, 1),
        (TWO, 2),
    ]


@on_a_loop
async def test_a_stream_that_was_only_read_is_checked_too(database_url: str) -> None:
    async with appending(database_url) as appender:
        await appender.append(noting(ONE))
        await appender.append(command(change(TWO, 0, note()), change(ONE, 1)))
        with pytest.raises(VersionConflict) as conflict:
            await appender.append(command(change(TWO, 1, note()), change(ONE, 0)))
        with pytest.raises(VersionConflict):
            await appender.append(command(change(TWO, 1, note()), change(THREE, 1)))
    assert conflict.value.stream_id == ONE
    assert positions(database_url) == [1, 2]


@on_a_loop
async def test_what_waits_together_is_appended_together(database_url: str) -> None:
    told: list[int] = []
    async with appending(database_url, told.append) as appender:
        answers = await answers_to(appender, [noting(UUID(int=n)) for n in range(1, 51)])
    assert [a.position for a in answers if isinstance(a, Appended)] == list(range(1, 51))
    assert told == [50]


@on_a_loop
async def test_one_conflict_does_not_fail_its_neighbours(database_url: str) -> None:
    told: list[int] = []
    async with appending(database_url, told.append) as appender:
        answers = await answers_to(
            appender,
            [
                noting(ONE),
                command(change(TWO, 7, note("refused")), change(THREE, 0, note("refused"))),
                noting(THREE, text="accepted"),
                noting(ONE, 1),
            ],
        )
    assert kinds(answers) == ["Appended", "VersionConflict", "Appended", "Appended"]
    assert told == [3]
    assert [(e.position, e.stream_id, e.version) for e in everything(database_url)] == [
        (1, ONE, 1),
        (2, THREE, 1),
        (3, ONE, 2),
    ]


@on_a_loop
async def test_commands_in_one_group_build_on_each_other(database_url: str) -> None:
    told: list[int] = []
    async with appending(database_url, told.append) as appender:
        chain = [noting(ONE, version, f"note {version}") for version in range(20)]
        answers = await answers_to(appender, [*chain, noting(ONE, 19)])
    assert kinds(answers) == ["Appended"] * 20 + ["VersionConflict"]
    assert told == [20]
    assert [e.event for e in everything(database_url)] == [note(f"note {n}") for n in range(20)]


@on_a_loop
async def test_of_a_group_with_one_expected_version_one_gets_it(database_url: str) -> None:
    async with appending(database_url) as appender:
        await appender.append(noting(ONE))
        answers = await answers_to(appender, [noting(ONE, 1) for _ in range(50)])
    assert kinds(answers) == ["Appended"] + ["VersionConflict"] * 49
    assert {a.found for a in answers if isinstance(a, VersionConflict)} == {2}
    assert positions(database_url) == [1, 2]


def claiming(stream_id: UUID, value: str, *, version: int = 0, kept: bool = True) -> Append:
    """Return a command that claims a value, or gives it back."""
    claim = Claim(EMAIL, value, stream_id, kept=kept)
    return command(change(stream_id, version, note()), claims=[claim])


@on_a_loop
async def test_a_value_belongs_to_one_stream(database_url: str) -> None:
    async with appending(database_url) as appender:
        await appender.append(claiming(ONE, "a@x"))
        with pytest.raises(ClaimTaken) as taken:
            await appender.append(claiming(TWO, "a@x"))
        await appender.append(claiming(ONE, "a@x", version=1))
        await appender.append(claiming(TWO, "b@x"))
    assert (taken.value.scope, taken.value.value) == (EMAIL, "a@x")
    assert rows(database_url, "select value, stream_id from unique_claims order by 1") == [
        ("a@x", ONE),
        ("b@x", TWO),
    ]
    assert positions(database_url) == [1, 2, 3]


@on_a_loop
async def test_a_value_that_was_given_back_can_be_claimed_by_another(database_url: str) -> None:
    async with appending(database_url) as appender:
        await appender.append(claiming(ONE, "a@x"))
        await appender.append(claiming(TWO, "a@x", kept=False))
        with pytest.raises(ClaimTaken):
            await appender.append(claiming(TWO, "a@x", version=1))
        await appender.append(claiming(ONE, "a@x", version=1, kept=False))
        await appender.append(claiming(TWO, "a@x", version=1))
    assert rows(database_url, "select value, stream_id from unique_claims") == [("a@x", TWO)]


@on_a_loop
async def test_of_two_claims_in_one_group_one_gets_the_value(database_url: str) -> None:
    told: list[int] = []
    async with appending(database_url, told.append) as appender:
        answers = await answers_to(
            appender, [claiming(ONE, "a@x"), claiming(TWO, "a@x"), noting(THREE)]
        )
    assert kinds(answers) == ["Appended", "ClaimTaken", "Appended"]
    assert told == [2]
    assert [e.stream_id for e in everything(database_url)] == [ONE, THREE]


@on_a_loop
async def test_a_value_changes_hands_within_one_group(database_url: str) -> None:
    async with appending(database_url) as appender:
        await appender.append(claiming(ONE, "a@x"))
        given = claiming(ONE, "a@x", version=1, kept=False)
        answers = await answers_to(appender, [given, claiming(TWO, "a@x"), claiming(THREE, "a@x")])
    assert kinds(answers) == ["Appended", "Appended", "ClaimTaken"]


@on_a_loop
async def test_a_refused_command_claims_nothing(database_url: str) -> None:
    async with appending(database_url) as appender:
        await appender.append(claiming(ONE, "a@x"))
        both = [Claim(EMAIL, "b@x", TWO), Claim(EMAIL, "a@x", TWO)]
        with pytest.raises(ClaimTaken):
            await appender.append(command(change(TWO, 0, note()), claims=both))
        with pytest.raises(VersionConflict):
            await appender.append(claiming(TWO, "c@x", version=9))
        with pytest.raises(VersionConflict):
            await appender.append(claiming(ONE, "a@x", version=9, kept=False))
    assert rows(database_url, "select value from unique_claims") == [("a@x",)]


@on_a_loop
async def test_every_audit_column_is_filled(database_url: str) -> None:
    when = datetime(2010, 12, 1, 8, 26, tzinfo=UTC)
    audit = msgspec.structs.replace(AUDIT, causation_id=1, occurred_at=when)
    asked = command(StreamChange(ONE, "order", 0, (note(), OrderDelivered())), audit=audit)
    async with appending(database_url) as appender:
        appended = await appender.append(asked)
    query = """
        select stream_type, name, schema_version, actor_id, actor_role, request_id,
               correlation_id, causation_id, command_id, command, occurred_at, recorded_at
          from events order by position
    """
    same = ("alice", "staff", "request-1", "correlation-1", 1, asked.command_id, "AddOrderNote")
    assert rows(database_url, query) == [
        ("order", "order.note_added", 2, *same, when, appended.recorded_at),
        ("order", "order.delivered", 1, *same, when, appended.recorded_at),
    ]


@on_a_loop
async def test_each_event_of_a_group_is_filed_under_its_own_command(database_url: str) -> None:
    asked = [
        command(
            change(UUID(int=number), 0, note()),
            audit=msgspec.structs.replace(AUDIT, actor_id=f"actor {number}"),
        )
        for number in range(1, 6)
    ]
    async with appending(database_url) as appender:
        await answers_to(appender, asked)
    found = rows(database_url, "select actor_id, command_id, stream_id from events order by 1")
    assert found == [
        (f"actor {number}", one.command_id, UUID(int=number)) for number, one in enumerate(asked, 1)
    ]


@on_a_loop
async def test_an_event_occurred_when_it_was_recorded_unless_the_command_says_else(
    database_url: str,
) -> None:
    before = datetime.now(UTC) - timedelta(seconds=5)
    async with appending(database_url) as appender:
        appended = await appender.append(noting(ONE))
    [event] = everything(database_url)
    assert event.occurred_at == event.recorded_at == appended.recorded_at
    assert before < event.recorded_at < datetime.now(UTC) + timedelta(seconds=5)
    assert event.recorded_at.utcoffset() == timedelta(0)


@on_a_loop
async def test_recorded_times_never_go_back_even_if_the_clock_does(database_url: str) -> None:
    ahead = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("update log_head set recorded_at = %s", [ahead])
    async with appending(database_url) as appender:
        answers = [await appender.append(noting(UUID(int=n))) for n in range(1, 4)]
    assert {answer.recorded_at for answer in answers} == {ahead}


@on_a_loop
async def test_an_append_waits_for_one_that_has_begun_and_leaves_no_hole(database_url: str) -> None:
    slow = await psycopg.AsyncConnection.connect(database_url)
    async with slow, appending(database_url) as appender:
        await slow.execute(CALL, arguments([noting(ONE)]))
        waiting = asyncio.create_task(appender.append(noting(TWO)))
        await asyncio.sleep(0.5)
        assert not waiting.done()
        assert positions(database_url) == []
        await slow.commit()
        assert (await waiting).position == 2
    assert [e.stream_id for e in everything(database_url)] == [ONE, TWO]


@on_a_loop
async def test_an_append_that_is_rolled_back_burns_no_position(database_url: str) -> None:
    async with appending(database_url) as appender:
        await appender.append(noting(ONE))
        async with await psycopg.AsyncConnection.connect(database_url) as slow:
            await slow.execute(CALL, arguments([claiming(TWO, "a@x")]))
            await slow.rollback()
        appended = await appender.append(claiming(THREE, "a@x"))
    assert appended.position == 2
    assert positions(database_url) == [1, 2]


@on_a_loop
async def test_a_large_command_is_appended_whole(database_url: str) -> None:
    many = tuple(OrderNoteAdded(f"line {number}") for number in range(4_000))
    async with appending(database_url) as appender:
        answers = await answers_to(appender, [command(change(ONE, 0, *many)), noting(TWO)])
    assert [a.position for a in answers if isinstance(a, Appended)] == [4_000, 4_001]
    assert [e.event for e in everything(database_url)][:4_000] == list(many)


@on_a_loop
async def test_the_same_command_twice_is_a_conflict_not_a_second_effect(database_url: str) -> None:
    asked = noting(uuid4())
    async with appending(database_url) as appender:
        await appender.append(asked)
        with pytest.raises(VersionConflict):
            await appender.append(asked)
    assert positions(database_url) == [1]
