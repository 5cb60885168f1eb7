"""Appending while connections die, hang or fall silent: no lie, no double, an end in time."""

import asyncio
import os
import signal
from collections.abc import Awaitable
from time import monotonic
from uuid import UUID, uuid4

import psycopg
import pytest

from event_store.append_sql import CALL, arguments
from event_store.appender import MOST_WAITING
from event_store.records import (
    Appended,
    Audit,
    Claim,
    StoreOverloaded,
    StoreUnavailable,
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
    times_stored,
)
from tests.event_store.outages import keyed
from tests.event_store.road import Passage, cut, open_gate, road_to, swallow
from tests.killing import ended, fork

ONE, TWO, THREE = (UUID(int=number) for number in (1, 2, 3))
IN_TIME = 6
KILL = """
select pg_terminate_backend(pid) from pg_stat_activity
 where application_name = 'daybook append' and datname = current_database()
"""


async def another(database_url: str) -> psycopg.AsyncConnection[tuple[object, ...]]:
    """Return a connection of somebody else's."""
    return await psycopg.AsyncConnection.connect(database_url, autocommit=True)


async def timed(asking: Awaitable[Appended]) -> tuple[float, Appended | BaseException]:
    """Return how many seconds an answer took, and the answer."""
    began = monotonic()
    [answer] = await asyncio.gather(asking, return_exceptions=True)
    return monotonic() - began, answer


@on_a_loop
async def test_killed_connections_lose_nothing_double_nothing_and_tell_no_lie(
    database_url: str,
) -> None:
    answers: list[tuple[UUID, float, Appended | BaseException]] = []
    ends = monotonic() + 4

    async with await another(database_url) as killer, appending(database_url) as appender:

        async def write() -> None:
            while monotonic() < ends:
                stream_id = uuid4()
                seconds, answer = await timed(appender.append(noting(stream_id)))
                answers.append((stream_id, seconds, answer))

        async def kill() -> None:
            while monotonic() < ends:
                await killer.execute(KILL)
                await asyncio.sleep(0.02)

        await asyncio.gather(kill(), *(write() for _ in range(10)))
    assert set(kinds([answer for *_, answer in answers])) <= {"Appended", "StoreUnavailable"}
    assert max(seconds for _, seconds, _ in answers) < IN_TIME
    acknowledged = {stream for stream, _, answer in answers if isinstance(answer, Appended)}
    stored = [event.stream_id for event in everything(database_url)]
    assert acknowledged
    assert acknowledged <= set(stored)
    assert len(stored) == len(set(stored))
    assert positions(database_url) == list(range(1, len(stored) + 1))


@on_a_loop
async def test_an_answer_that_was_cut_off_after_the_commit_is_found_in_the_log(
    database_url: str,
) -> None:
    async with road_to(database_url) as road, appending(road.url) as appender:
        await appender.append(noting(ONE))
        cuts = 0

        async def cut_once(passage: Passage, data: bytes) -> bytes:
            nonlocal cuts
            if b"appended" not in data:
                return data  # the answer to a preparation: nothing is done yet
            cuts += 1
            road.down = open_gate
            return await cut(passage, data)

        road.down = cut_once
        asked = [
            noting(ONE, 1),
            command(change(TWO, 0, note()), claims=[Claim("user.email", "a@x", TWO)]),
            noting(ONE, 0),
            noting(ONE, 2),
        ]
        answers = await answers_to(appender, asked)
        assert cuts == 1
    assert kinds(answers) == ["Appended", "Appended", "VersionConflict", "Appended"]
    assert [a.position for a in answers if isinstance(a, Appended)] == [2, 3, 4]
    assert [times_stored(database_url, one) for one in asked] == [1, 1, 0, 1]


@on_a_loop
async def test_a_call_that_is_cut_while_it_waits_for_the_lock_is_no_conflict_with_itself(
    database_url: str,
) -> None:
    async with road_to(database_url) as road, appending(road.url) as appender:
        await appender.append(noting(ONE))
        async with await another(database_url) as holder:
            async with holder.transaction():
                await holder.execute("select from log_head for update")
                asking = asyncio.create_task(appender.append(noting(ONE, 1)))
                await asyncio.sleep(0.2)
                road.passages[0].client.transport.abort()
                await asyncio.sleep(0.3)
            assert isinstance(await asking, Appended)
    assert positions(database_url) == [1, 2]


@on_a_loop
async def test_a_call_that_arrives_after_the_log_was_searched_is_no_conflict_with_itself(
    database_url: str,
) -> None:
    async with road_to(database_url) as road, appending(road.url) as appender:
        await appender.append(noting(ONE))
        late: list[tuple[Passage, bytes]] = []

        async def hold_then_let_pass_first(passage: Passage, data: bytes) -> bytes:
            if passage.number == 1:
                late.append((passage, data))
                passage.client.transport.abort()
                return b""
            if b"append_events" in data and late:
                while late:
                    first, held = late.pop(0)
                    first.server.write(held)
                await asyncio.sleep(0.3)
            return data

        road.up = hold_then_let_pass_first
        asked = [noting(ONE, 1), noting(ONE, 0), noting(TWO)]
        answers = await answers_to(appender, asked)
    assert len(road.passages) >= 2
    assert kinds(answers) == ["Appended", "VersionConflict", "Appended"]
    assert [times_stored(database_url, one) for one in asked] == [1, 0, 1]


@on_a_loop
async def test_who_is_killed_between_claiming_a_key_and_the_commit_leaves_neither(
    database_url: str,
) -> None:
    asked = keyed(ONE)

    def dies() -> None:
        with psycopg.connect(database_url) as connection:
            connection.execute(CALL, arguments([asked]))
            os.kill(os.getpid(), signal.SIGKILL)

    assert ended(fork(dies)) == -signal.SIGKILL
    async with appending(database_url) as appender:
        began = monotonic()
        first, second = await answers_to(appender, [keyed(ONE), keyed(ONE)])
        assert monotonic() - began < IN_TIME
    assert kinds([first, second]) == ["Appended", "Repeated"]
    assert positions(database_url) == [1]
    assert times_stored(database_url, asked) == 0


@on_a_loop
async def test_a_connection_that_breaks_twice_leaves_the_answer_open(database_url: str) -> None:
    async with road_to(database_url) as road, appending(road.url) as appender:
        await appender.append(noting(ONE))
        road.down = cut
        seconds, answer = await timed(appender.append(noting(ONE, 1)))
        assert isinstance(answer, StoreUnavailable)
        assert seconds < IN_TIME
        road.down = open_gate
        assert isinstance(await appender.append(noting(TWO)), Appended)


@on_a_loop
async def test_a_lock_that_somebody_holds_is_answered_in_time_and_got_over(
    database_url: str,
) -> None:
    async with await another(database_url) as holder, appending(database_url) as appender:
        await appender.append(noting(ONE))
        async with holder.transaction():
            await holder.execute("select from log_head for update")
            first = asyncio.create_task(timed(appender.append(noting(ONE, 1))))
            await asyncio.sleep(1)
            second = asyncio.create_task(timed(appender.append(noting(TWO))))
            for seconds, answer in await asyncio.gather(first, second):
                assert isinstance(answer, StoreUnavailable)
                assert seconds < IN_TIME
        assert isinstance(await appender.append(noting(THREE)), Appended)
    assert [e.stream_id for e in everything(database_url)] == [ONE, THREE]


@on_a_loop
async def test_a_locked_table_is_answered_in_time_and_got_over(database_url: str) -> None:
    async with await another(database_url) as holder, appending(database_url) as appender:
        async with holder.transaction():
            await holder.execute("lock table events in access exclusive mode")
            seconds, answer = await timed(appender.append(noting(ONE)))
            assert isinstance(answer, StoreUnavailable)
            assert seconds < IN_TIME
        assert isinstance(await appender.append(noting(ONE)), Appended)


@on_a_loop
async def test_a_silent_postgres_is_answered_in_time_and_got_over(database_url: str) -> None:
    async with road_to(database_url) as road, appending(road.url) as appender:
        await appender.append(noting(ONE))
        road.down = swallow
        first = asyncio.create_task(timed(appender.append(noting(ONE, 1))))
        await asyncio.sleep(2)
        late = asyncio.create_task(timed(appender.append(noting(TWO))))
        for seconds, answer in await asyncio.gather(first, late):
            assert isinstance(answer, StoreUnavailable)
            assert seconds < IN_TIME
        road.down = open_gate
        began = monotonic()
        while not isinstance((await timed(appender.append(noting(uuid4()))))[1], Appended):
            assert monotonic() - began < IN_TIME


@on_a_loop
async def test_a_silent_postgres_does_not_hold_up_the_end(database_url: str) -> None:
    async with road_to(database_url) as road:
        async with appending(road.url) as appender:
            await appender.append(noting(ONE))
            road.down = swallow
            asking = [
                asyncio.create_task(timed(appender.append(noting(uuid4())))) for _ in range(10)
            ]
            await asyncio.sleep(0.1)
            began = monotonic()
        assert monotonic() - began < IN_TIME
        for _, answer in await asyncio.gather(*asking):
            assert isinstance(answer, StoreUnavailable)


@on_a_loop
async def test_postgres_that_is_away_is_answered_in_time() -> None:
    async with appending("postgresql://postgres@127.0.0.1:9/daybook") as appender:
        answers = await asyncio.gather(*(timed(appender.append(noting(uuid4()))) for _ in range(9)))
    assert {type(answer) for _, answer in answers} == {StoreUnavailable}
    assert max(seconds for seconds, _ in answers) < IN_TIME


BAD_AUDIT = Audit(
    actor_id="nul\x00",
    actor_role="staff",
    request_id="request-1",
    correlation_id="correlation-1",
    command="AddOrderNote",
)
CANNOT_BE_HELD = {
    "nul in an event": noting(TWO, text="a\x00b"),
    "half a character in an event": noting(TWO, text="a\ud800b"),
    "nul in an audit column": command(change(TWO, 0, note()), audit=BAD_AUDIT),
    "an audit column missing": command(
        change(TWO, 0, note()),
        audit=Audit(
            actor_id=None,
            actor_role="staff",
            request_id="request-1",
            correlation_id="correlation-1",
            command="AddOrderNote",
        ),
    ),
    "a claim that no index can hold": command(
        change(TWO, 0, note()),
        claims=[Claim("user.email", "".join(map(str, range(9_000))), TWO)],
    ),
    "a version that is no integer": noting(TWO, 2**40),
    "one stream named twice": command(change(TWO, 0, note("a")), change(TWO, 0, note("b"))),
}


@pytest.mark.parametrize("fault", CANNOT_BE_HELD)
@on_a_loop
async def test_what_postgres_cannot_hold_fails_alone(database_url: str, fault: str) -> None:
    bad = CANNOT_BE_HELD[fault]
    async with appending(database_url) as appender:
        await appender.append(noting(ONE))
        chain = [noting(ONE, 1), noting(ONE, 2), bad, noting(ONE, 3), noting(THREE)]
        answers = await answers_to(appender, chain)
        alone = await answers_to(appender, [bad])
        assert isinstance(await appender.append(noting(ONE, 4)), Appended)
    refused = answers.pop(2)
    assert kinds(answers) == ["Appended"] * 4
    assert isinstance(refused, Exception)
    # It is nobody's outage and no conflict: asking again would never help.
    assert not isinstance(refused, StoreUnavailable | VersionConflict)
    assert kinds(alone) == kinds([refused])
    assert [e.stream_id for e in everything(database_url)] == [ONE, ONE, ONE, ONE, THREE, ONE]


@on_a_loop
async def test_more_than_can_wait_is_not_taken(database_url: str) -> None:
    async with await another(database_url) as holder, appending(database_url) as appender:
        await appender.append(noting(ONE))
        async with holder.transaction():
            await holder.execute("select from log_head for update")
            first = asyncio.create_task(appender.append(noting(ONE, 1)))
            await asyncio.sleep(0.1)
            crowd = [noting(uuid4()) for _ in range(MOST_WAITING)]
            waiting = [asyncio.create_task(appender.append(one)) for one in crowd]
            await asyncio.sleep(0)
            seconds, answer = await timed(appender.append(noting(TWO)))
            assert isinstance(answer, StoreOverloaded)
            assert seconds < 0.5
        assert isinstance(await first, Appended)
        assert set(kinds(await asyncio.gather(*waiting))) == {"Appended"}
    assert positions(database_url) == list(range(1, MOST_WAITING + 3))


@on_a_loop
async def test_closing_appends_what_waits_and_takes_nothing_more(database_url: str) -> None:
    async with appending(database_url) as appender:
        waiting = [asyncio.create_task(appender.append(noting(uuid4()))) for _ in range(100)]
        await asyncio.sleep(0)
        await appender.close()
        assert all(task.done() for task in waiting)
        assert set(kinds(await asyncio.gather(*waiting))) == {"Appended"}
        with pytest.raises(StoreUnavailable):
            await appender.append(noting(uuid4()))
    assert len(positions(database_url)) == 100


@on_a_loop
async def test_an_asker_who_leaves_before_the_call_has_appended_nothing(database_url: str) -> None:
    async with appending(database_url) as appender:
        left, stayed = noting(ONE), noting(TWO)
        leaving = asyncio.create_task(appender.append(left))
        staying = asyncio.create_task(appender.append(stayed))
        await asyncio.sleep(0)
        leaving.cancel()
        assert (await staying).position == 1
        with pytest.raises(asyncio.CancelledError):
            await leaving
    assert times_stored(database_url, left) == 0


@on_a_loop
async def test_an_asker_who_leaves_during_the_call_disturbs_nobody(database_url: str) -> None:
    async with await another(database_url) as holder, appending(database_url) as appender:
        async with holder.transaction():
            await holder.execute("select from log_head for update")
            leaving = asyncio.create_task(appender.append(noting(ONE)))
            staying = asyncio.create_task(appender.append(noting(TWO)))
            await asyncio.sleep(0.2)
            leaving.cancel()
            await asyncio.sleep(0.1)
        assert isinstance(await staying, Appended)
        assert isinstance(await appender.append(noting(THREE)), Appended)
    assert positions(database_url) == [1, 2, 3]


@on_a_loop
async def test_news_that_cannot_be_told_fail_no_command(database_url: str) -> None:
    def fail(position: int) -> None:
        raise ConnectionError(position)

    async with appending(database_url, fail) as appender:
        assert (await appender.append(noting(ONE))).position == 1
        assert (await asyncio.wait_for(appender.append(noting(TWO)), 3)).position == 2


@on_a_loop
async def test_every_answer_is_an_error_of_its_own(database_url: str) -> None:
    async with road_to(database_url) as road, appending(road.url) as appender:
        road.refuses = True
        answers = await answers_to(appender, [noting(uuid4()) for _ in range(5)])
    assert set(kinds(answers)) == {"StoreUnavailable"}
    assert len({id(answer) for answer in answers}) == 5
    assert AUDIT.actor_id not in str(answers[0])
