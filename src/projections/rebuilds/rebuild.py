"""Rebuilding a view from the first event on, beside the live one, which is read and posted on.

A rebuild is a job with states, and everything that it has reached is stored: whoever works on it,
in any number of processes, may be killed at any point, and another goes on. The partitions are
shared as those of live views are; who holds partition 0 also does what is to be done once. This is
the door to all of it.
"""

import time
from collections.abc import Callable

from psycopg import Connection
from psycopg.rows import TupleRow

from event_store.privacy.keyring import NO_KEYS, Keyring
from projections.posting.status import partitions
from projections.projection import Projection
from projections.rebuilds.jobs import (
    OnFailure,
    Rebuild,
    RebuildRunning,
    cancel,
    find,
    rebuilds,
    start,
    swap,
    throttle,
    unfinished,
    unfinished_of,
)
from projections.rebuilds.labour import Labour, labour, rest
from projections.rebuilds.rolling_back import Rebuilt, prune, rollback

__all__ = [
    "Labour",
    "OnFailure",
    "Rebuild",
    "RebuildFailed",
    "RebuildRunning",
    "Rebuilt",
    "cancel",
    "find",
    "labour",
    "prune",
    "rebuild",
    "rebuilds",
    "rest",
    "rollback",
    "start",
    "swap",
    "throttle",
    "unfinished",
]

IDLE_SECONDS = 0.1
Report = Callable[[int, int], None]


class RebuildFailed(Exception):  # noqa: N818 - reads as what happened
    """A rebuild has been given up; the live view is as it was."""


def rebuild(
    connection: Connection[TupleRow],
    projection: Projection,
    report: Report,
    keys: Keyring = NO_KEYS,
) -> Rebuilt:
    """Build the tables anew and swap them in; `report` is told the position reached and the end.

    Works here, beside whatever workers are at it; goes on with a rebuild that nobody works on.
    Raises `RebuildRunning` if somebody does, `RebuildFailed` if it cannot be done.
    """
    try:
        job = start(connection, projection)
    except RebuildRunning:
        if any(
            one.side == "building" and one.holder for one in partitions(connection, projection.name)
        ):
            raise
        job = unfinished_of(connection, projection.name)
    return carry_out(connection, projection, job, report, keys)


def carry_out(
    connection: Connection[TupleRow],
    projection: Projection,
    job: Rebuild,
    report: Report,
    keys: Keyring = NO_KEYS,
) -> Rebuilt:
    """Work on a job until it is finished, by whomever; go on with one that was left."""
    with labour(connection, {projection.name: projection}, keys) as at_work:
        while (job := find(connection, job.id)).finished_at is None:
            report(job.position, max(job.target, job.position))
            if job.state == "ready":
                break
            if not at_work.step(connection):
                time.sleep(IDLE_SECONDS)
    if job.state in {"failed", "cancelled"}:
        raise RebuildFailed(f"{projection.name}: {job.error or 'it was cancelled'}.")
    return Rebuilt(job.position, job.rows or {})
