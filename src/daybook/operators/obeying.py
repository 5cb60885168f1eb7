"""What is done about each thing that operators ask of a projection, and what is said of it."""

from typing import assert_never

import psycopg
import structlog
from psycopg import Connection
from psycopg.rows import TupleRow

from domain import projection_control as control
from event_store.connections import LOST
from event_store.privacy.keyring import Keyring
from projections.oversight import operations
from projections.oversight.operations import Note
from projections.posting import failures, pausing
from projections.projection import Projection
from projections.rebuilds import rebuild
from projections.switched_on import PROJECTIONS

LONGEST_DETAIL = 1_000
REBUILT: dict[str, control.Outcome] = {"done": "done", "cancelled": "cancelled", "failed": "failed"}

log = structlog.get_logger(__name__)


def attempt(connection: Connection[TupleRow], request: control.Request, keys: Keyring) -> Note:
    """Carry out a request inside of a transaction; what is refused or fails has changed nothing."""
    try:
        with connection.transaction():
            return act(connection, PROJECTIONS[request.projection], request, keys)
    except LOST:
        raise
    except (LookupError, rebuild.RebuildRunning) as refusal:
        return Note(None, "refused", described(refusal))
    except Exception as error:
        log.exception("operation_failed", projection=request.projection)
        return Note(None, "failed", described(error))


def act(
    connection: Connection[TupleRow],
    projection: Projection,
    request: control.Request,
    keys: Keyring,
) -> Note:
    """Do what is asked; `LookupError` if there is nothing that it could be done to."""
    name = projection.name
    match request:
        case control.ProjectionPaused():
            pausing.pause(connection, name)
            return done("It stands still.")
        case control.ProjectionResumed():
            pausing.resume(connection, name)
            return done("It follows the log.")
        case control.ProjectionRollbackRequested():
            back = rebuild.rollback(connection, projection, keys)
            return done(f"The tables from before the last swap are read again, at {back.position}.")
        case control.ProjectionPruneRequested():
            return done(f"{counted(rebuild.prune(connection, projection), 'table')} dropped.")
        case control.ParkedFailureRetryRequested() | control.ParkedFailureSkipRequested():
            return act_on_failures(connection, projection, request, keys)
        case _:
            return act_on_rebuild(connection, projection, request)


def act_on_rebuild(
    connection: Connection[TupleRow],
    projection: Projection,
    request: control.ProjectionRebuildRequested
    | control.ProjectionRebuildThrottled
    | control.ProjectionSwapRequested
    | control.ProjectionRebuildCancelled,
) -> Note:
    """Start a rebuild, or do something about the one under way."""
    match request:
        case control.ProjectionRebuildRequested(how=how):
            job = rebuild.start(
                connection,
                projection,
                dry_run=how.dry_run,
                hold=how.hold,
                on_failure=how.on_failure,
                throttle=how.throttle / 100,
            )
            return Note(job.id, None, None)
        case control.ProjectionRebuildThrottled(throttle=percent):
            rebuild.throttle(connection, projection.name, percent / 100)
            return done(f"Builders work in {percent} percent of the time.")
        case control.ProjectionSwapRequested():
            rebuild.swap(connection, projection.name)
            return done("It is being swapped in.")
        case control.ProjectionRebuildCancelled():
            rebuild.cancel(connection, projection)
            return done("The rebuild was given up.")
        case _:
            assert_never(request)


def act_on_failures(
    connection: Connection[TupleRow],
    projection: Projection,
    request: control.ParkedFailureRetryRequested | control.ParkedFailureSkipRequested,
    keys: Keyring,
) -> Note:
    """Try again what is parked, or leave an event out."""
    position = request.position
    if position is None:
        tried = failures.retry(connection, projection, keys=keys)
        return done(f"{counted(tried.applied, 'event')} applied, {tried.waiting:,} still waiting.")
    key = operations.failed_key(connection, projection.name, position)
    if isinstance(request, control.ParkedFailureSkipRequested):
        left = failures.skip(connection, projection, key, position, keys=keys)
        return done(
            f"Event {position} left out, {left.applied:,} applied, {left.waiting:,} still waiting."
        )
    tried = failures.retry(connection, projection, key, keys=keys)
    return done(f"{counted(tried.applied, 'event')} applied, {tried.waiting:,} still waiting.")


def ending(connection: Connection[TupleRow], note: Note) -> Note:
    """Return a note with what came of its rebuild, if that has ended since."""
    if note.outcome is not None or note.rebuild_id is None:
        return note
    job = rebuild.find(connection, note.rebuild_id)
    outcome = REBUILT.get(job.state)
    return note if outcome is None else Note(job.id, outcome, what_was_made(job))


def what_was_made(job: rebuild.Rebuild) -> str:
    """Say what a rebuild came to."""
    if job.error:
        return job.error[:LONGEST_DETAIL]
    made = (job.rows or {}).items()
    parts = [", ".join(f"{table}: {counted(new, 'row')}" for table, (_, new) in made)]
    if job.failures:
        parts.append(f"{counted(job.failures, 'failure')}, the first at {first_of(job)}")
    if job.comparison is not None:
        parts.append(f"the new tables are {'equal' if job.comparison.equal else 'different'}")
    elif any(live is not None for live, _ in (job.rows or {}).values()):
        parts.append("not compared, for the view in use stands still behind the new tables")
    return "; ".join(parts)


def first_of(job: rebuild.Rebuild) -> int:
    """Return the position of the first event that a rebuild could not apply."""
    return job.first_failures[0].position


def counted(count: int, noun: str) -> str:
    """Say how many there are of something."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def done(detail: str) -> Note:
    """Return the note of something that was done."""
    return Note(None, "done", detail)


def described(error: Exception) -> str:
    """Say for people what was wrong; it stays in the log, so without Postgres' details of rows."""
    if isinstance(error, psycopg.Error) and error.diag.message_primary:
        return error.diag.message_primary[:LONGEST_DETAIL]
    text = str(error.args[0]) if isinstance(error, LookupError) and error.args else str(error)
    return f"{text or type(error).__name__}"[:LONGEST_DETAIL]
