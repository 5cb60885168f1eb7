"""What operators ask is carried out once, in order, whoever dies; the log says what came of it."""

import asyncio
import time
from contextlib import closing
from typing import Any
from uuid import UUID

import pytest
from psycopg import Connection, errors
from psycopg.rows import TupleRow

from commands.execution import execute
from commands.projections.cancel_rebuild import CancelRebuild, cancel_rebuild
from commands.projections.pause_projection import PauseProjection, pause_projection
from commands.projections.prune_projection import PruneProjection, prune_projection
from commands.projections.rebuild_projection import RebuildProjection, rebuild_projection
from commands.projections.resume_projection import ResumeProjection, resume_projection
from commands.projections.roll_back_projection import RollBackProjection, roll_back_projection
from commands.projections.skip_failure import SkipFailure, skip_failure
from commands.work import Tools
from daybook.operators import conductor, obeying
from daybook.operators.conductor import Conductor
from domain.projection_control import HowToRebuild
from event_store.connections import connect
from projections.oversight import operations
from projections.oversight.operations import Operation
from projections.posting.status import Status, statuses
from projections.rebuilds.rebuild import labour
from projections.switched_on import PROJECTIONS
from tests.commands.given import ADMIN, working_on
from tests.event_store.asynchronous import on_a_loop
from tests.event_store.given import rows
from tests.projections.given import STORY, append, post

NAME = "sales_by_day"
WHY = {"projection": NAME, "reason": "trying"}


@pytest.fixture
def database_url(database_url: str) -> str:
    """Give a database with a short history."""
    append(database_url, STORY)
    post(database_url, *PROJECTIONS.values())
    return database_url


async def asked(tools: Tools, handler: Any, command: Any) -> UUID:
    """Ask, and return the id of the request."""
    receipt = await execute(tools, ADMIN, handler, command)
    found: UUID = receipt.answer.operation_id
    return found


def operation(database_url: str, operation_id: UUID) -> Operation:
    with connect(database_url, name="test") as connection:
        found = operations.operation(connection, NAME, operation_id)
    assert found is not None
    return found


def outcome(database_url: str, operation_id: UUID) -> tuple[str | None, str | None]:
    found = operation(database_url, operation_id)
    return found.outcome, found.detail


def status(database_url: str) -> Status:
    with connect(database_url, name="test") as connection:
        return next(one for one in statuses(connection) if one.name == NAME)


async def conducted(conducting: Conductor, ends: int) -> None:
    """Let the conductor work until so many requests have ended; builders are at work."""
    async with asyncio.timeout(60):
        while ends > 0:
            ends -= await conducting.step()
            await asyncio.sleep(0.05)
    assert ends == 0


@on_a_loop
async def test_a_projection_is_paused_and_resumed_and_the_log_says_by_whom(
    database_url: str,
) -> None:
    async with working_on(database_url, PROJECTIONS) as tools:
        conducting = Conductor(tools, database_url)
        pause = await asked(tools, pause_projection, PauseProjection(**WHY))
        assert operation(database_url, pause).outcome is None
        assert await conducting.step() == 1
        assert status(database_url).paused
        resume = await asked(tools, resume_projection, ResumeProjection(**WHY))
        assert await conducting.step() == 1
        assert not status(database_url).paused
        assert await conducting.step() == 0
        conducting.close()
    found = operation(database_url, pause)
    assert (found.action, found.outcome, found.detail) == ("pause", "done", "It stands still.")
    assert (found.actor_id, found.actor_role, found.request.reason) == ("admin", "admin", "trying")
    ended = "select actor_id, causation_id from events where data ->> 'operation_id' = %s"
    told = rows(database_url, f"{ended} and name = 'projection.operation_ended'", str(resume))
    assert told == [("system", operation(database_url, resume).position)]


@on_a_loop
async def test_a_conductor_that_dies_anywhere_leaves_the_rest_to_the_next(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It dies after the effect and before the log says so, and once before the effect."""
    swaps = "select count(*) from projection_operations where projection = %s"
    ((before,),) = rows(database_url, swaps, NAME)

    class Died(BaseException):
        """The process is gone."""

    def dying(*_: object) -> None:
        raise Died

    async with working_on(database_url, PROJECTIONS) as tools:
        pause = await asked(tools, pause_projection, PauseProjection(**WHY))
        with monkeypatch.context() as patched:
            patched.setattr(operations, "note", dying)  # in the transaction of the effect
            with pytest.raises(Died), closing(Conductor(tools, database_url)) as first:
                await first.step()
        assert not status(database_url).paused
        with monkeypatch.context() as patched:
            patched.setattr(Conductor, "_end", dying)
            with pytest.raises(Died), closing(Conductor(tools, database_url)) as second:
                await second.step()
        assert status(database_url).paused
        assert outcome(database_url, pause) == (None, None)
        await asked(tools, resume_projection, ResumeProjection(**WHY))
        several = [Conductor(tools, database_url) for _ in range(3)]
        for _ in range(3):
            await asyncio.gather(*(one.step() for one in several))
        for one in several:
            one.close()
    assert outcome(database_url, pause) == ("done", "It stands still.")
    assert not status(database_url).paused
    assert rows(database_url, swaps, NAME) == [(before + 2,)]


@on_a_loop
async def test_a_view_is_rebuilt_compared_rolled_back_and_pruned(database_url: str) -> None:
    async with working_on(database_url, PROJECTIONS) as tools:
        conducting = Conductor(tools, database_url)

        async def wish(handler: Any, command: Any) -> UUID:
            operation_id = await asked(tools, handler, command)
            await conducted(conducting, 1)
            return operation_id

        stop = asyncio.Event()
        at_work = asyncio.gather(
            *(asyncio.to_thread(one, database_url, stop) for one in (build, keep_up))
        )
        try:
            how = HowToRebuild()
            rebuilt = await wish(rebuild_projection, RebuildProjection(**WHY, how=how))
            dry = HowToRebuild(dry_run=True)
            compared = await wish(rebuild_projection, RebuildProjection(**WHY, how=dry))
            back = await wish(roll_back_projection, RollBackProjection(**WHY))
            pruned = await wish(prune_projection, PruneProjection(**WHY))
            refused = [
                await wish(roll_back_projection, RollBackProjection(**WHY)),
                await wish(cancel_rebuild, CancelRebuild(**WHY)),
                await wish(skip_failure, SkipFailure(**WHY, position=1)),
            ]
        finally:
            stop.set()
            await at_work
            conducting.close()
    assert outcome(database_url, rebuilt)[0] == "done"
    assert operation(database_url, rebuilt).rebuild_id is not None
    assert "the new tables are equal" in str(outcome(database_url, compared)[1])
    assert outcome(database_url, back)[0] == "done"
    assert outcome(database_url, pruned) == ("done", "1 table dropped.")
    assert {outcome(database_url, one)[0] for one in refused} == {"refused"}


def build(database_url: str, stop: asyncio.Event) -> None:
    """Do the steps of rebuilds, as a builder does."""
    with connect(database_url, name="test") as connection, labour(connection, PROJECTIONS) as work:
        while not stop.is_set():
            if not work.step(connection):
                time.sleep(0.02)


def keep_up(database_url: str, stop: asyncio.Event) -> None:
    """Let the view follow the log, as a worker does."""
    while not stop.is_set():
        post(database_url, PROJECTIONS[NAME])
        time.sleep(0.05)


@on_a_loop
async def test_what_postgres_says_of_a_row_does_not_come_into_the_log(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(connection: Connection[TupleRow], *_: object) -> object:
        connection.execute("create temporary table people (name text check (name = ''))")
        return connection.execute("insert into people values ('Ada Lovelace')")

    async with working_on(database_url, PROJECTIONS) as tools:
        monkeypatch.setattr(obeying, "act", refused)
        conducting = Conductor(tools, database_url)
        pruned = await asked(tools, prune_projection, PruneProjection(**WHY))
        assert await conducting.step() == 1
        conducting.close()
    said = 'new row for relation "people" violates check constraint "people_name_check"'
    assert outcome(database_url, pruned) == ("failed", said)


@on_a_loop
async def test_what_the_server_refuses_for_a_while_is_tried_again(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = [2]
    act = obeying.act

    def busy(connection: Connection[TupleRow], *args: object) -> object:
        if left[0]:
            left[0] -= 1
            raise errors.LockNotAvailable("busy")
        return act(connection, *args)

    async with working_on(database_url, PROJECTIONS) as tools:
        monkeypatch.setattr(obeying, "act", busy)
        conducting = Conductor(tools, database_url)
        pruned = await asked(tools, prune_projection, PruneProjection(**WHY))
        for _ in range(2):
            with pytest.raises(errors.LockNotAvailable):
                await conducting.step()
        assert await conducting.step() == 1
        left[0] = conductor.MOST_ATTEMPTS
        hopeless = await asked(tools, prune_projection, PruneProjection(**WHY))
        for _ in range(conductor.MOST_ATTEMPTS - 1):
            with pytest.raises(errors.LockNotAvailable):
                await conducting.step()
        assert await conducting.step() == 1
        conducting.close()
    assert outcome(database_url, pruned) == ("done", "0 tables dropped.")
    assert outcome(database_url, hopeless) == ("failed", "busy")
