"""Operators' decisions about reactions, given on this machine: in the log, and carried out here."""

import asyncio
import time

import msgspec
import psycopg
from psycopg import Connection
from psycopg.rows import TupleRow

from commands.execution import execute
from commands.projections.verbs import Verb
from commands.reactions import by_word, verbs
from daybook.command_line.operator_commands import operator, operator_tools
from daybook.migrate import migrate
from daybook.operators.reaction_desk import check_known
from daybook.services import ServiceError, Services, services
from daybook.settings import Settings
from domain.refusal import NotFound
from event_store.connections import connect
from reactions.decisions import carrying_out
from reactions.engine import follow
from reactions.operations import Operation, operations
from reactions.status import Failure, Status, failure, failures, statuses
from reactions.switched_on import REACTIONS
from reactions.system_actor import SystemActor

LOOK_SECONDS = 0.2


class Outcome(msgspec.Struct, frozen=True):
    """What became of a decision: done, failed (again), or asked (nothing has happened yet)."""

    reaction: str
    position: int | None
    outcome: str
    error: str | None = None


def known(name: str) -> str:
    """Return the name of a reaction; `ServiceError` if it is none."""
    try:
        check_known(name)
    except NotFound as error:
        listed = ", ".join(REACTIONS)
        raise ServiceError(f"There is no reaction {name}: choose one of {listed}.") from error
    return name


def statuses_now(settings: Settings) -> list[Status]:
    """Return how every reaction stands."""
    with services(settings) as found:
        migrate(found.database_url)
        with connect(found.database_url, name="daybook operator") as connection:
            return statuses(connection)


def failures_now(settings: Settings, name: str | None, limit: int) -> list[Failure]:
    """Return failed events of a reaction, or of all."""
    if name is not None:
        known(name)
    with services(settings) as found:
        migrate(found.database_url)
        with connect(found.database_url, name="daybook operator") as connection:
            return failures(connection, name, limit=limit)


def failure_now(settings: Settings, name: str, position: int) -> Failure:
    """Return one failed event; `NothingFailed`."""
    known(name)
    with services(settings) as found:
        migrate(found.database_url)
        with connect(found.database_url, name="daybook operator") as connection:
            return there(connection, name, position)


def operations_now(settings: Settings, name: str | None, limit: int) -> list[Operation]:
    """Return what was decided about a reaction, or about any, the newest first."""
    names = list(REACTIONS) if name is None else [known(name)]
    with services(settings) as found:
        migrate(found.database_url)
        with connect(found.database_url, name="daybook operator") as connection:
            return operations(connection, names, limit=limit)


class NothingFailed(NotFound):
    """The reaction did not fail at that event, or it is dealt with."""

    sentence = "This reaction has not failed at this position."


def there(connection: Connection[TupleRow], name: str, position: int) -> Failure:
    """Return one failed event; `NothingFailed`."""
    found = failure(connection, name, position, REACTIONS[name])
    if found is None:
        raise NothingFailed
    return found


def retry_now(
    settings: Settings, name: str, position: int | None, reason: str, seconds: float
) -> Outcome:
    """Have an effect tried again, and wait a while for what comes of it."""
    known(name)
    with services(settings) as found:
        migrate(found.database_url)
        with connect(found.database_url, name="daybook operator") as connection:
            before = None if position is None else there(connection, name, position)
            asyncio.run(decide(found, verbs.RETRY, name, position, reason))
            carry_out(connection, found)
            if before is None:
                return Outcome(name, None, "asked")
            return outcome_of(connection, before, seconds)


def skip_now(settings: Settings, name: str, position: int, reason: str) -> Outcome:
    """Have an event left out."""
    known(name)
    with services(settings) as found:
        migrate(found.database_url)
        with connect(found.database_url, name="daybook operator") as connection:
            there(connection, name, position)
            asyncio.run(decide(found, verbs.SKIP, name, position, reason))
            carry_out(connection, found)
            left = failure(connection, name, position, REACTIONS[name])
            return Outcome(name, position, "asked" if left else "done")


async def decide(found: Services, verb: Verb, name: str, position: int | None, reason: str) -> None:
    """Append a decision."""
    handler, command = by_word.asked(verb, reaction=name, position=position, reason=reason)
    async with operator_tools(found) as tools:
        await execute(tools, operator(), handler, command)


def carry_out(connection: Connection[TupleRow], found: Services) -> None:
    """Do here what a worker would do, who may be at it already, or not there."""
    actor = SystemActor(found.database_url, found.keys, lambda _: None)
    actor.open()
    try:
        while follow(connection, carrying_out(REACTIONS, actor.say_end)):
            pass
    except psycopg.errors.LockNotAvailable:
        return  # the reaction acts right now: a worker carries it out after that
    finally:
        actor.close()


def outcome_of(connection: Connection[TupleRow], before: Failure, seconds: float) -> Outcome:
    """Wait for what comes of a retry."""
    name, position = before.reaction, before.position
    ends = time.monotonic() + seconds
    while True:
        now = failure(connection, name, position, REACTIONS[name])
        if now is None:
            return Outcome(name, position, "done")
        if now.attempts > before.attempts:
            return Outcome(name, position, "failed", now.error)
        if time.monotonic() > ends:
            return Outcome(name, position, "asked")
        time.sleep(LOOK_SECONDS)
