"""How a projection stands: all that an operator wants to know of it at one look."""

import time
from collections.abc import Sequence
from datetime import datetime
from typing import Literal

import msgspec
from psycopg import Connection
from psycopg.rows import TupleRow

from projections.posting.status import Partition, Status, partitions, statuses
from projections.rebuilds.rebuild import Rebuild, rebuilds

State = Literal["live", "paused", "rebuilding", "failed"]

SAMPLE_SECONDS = 0.3
UNFINISHED = {"folding", "indexing", "catching_up", "comparing", "ready", "swapping"}


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """How far a view is behind the log, how fast it follows, and who posts it.

    `events_per_second` and `eta_seconds` are measured while it is behind, else None. `failures`
    counts parked events; `has_retired`: a rollback is possible.
    """

    name: str
    version: int
    state: State
    position: int
    lag_events: int
    lag_seconds: float
    events_per_second: float | None
    eta_seconds: float | None
    moved_at: datetime
    last_error: str | None
    failures: int
    has_retired: bool
    partitions: list[Partition]
    rebuild: Rebuild | None


def standings(
    connection: Connection[TupleRow], name: str | None = None, sample: float = SAMPLE_SECONDS
) -> list[Standing]:
    """Return how each projection stands, or the one of a name; looks twice if one is behind."""
    first, then = statuses(connection), time.monotonic()
    now = first
    if any(one.events and not one.paused for one in first):
        time.sleep(sample)
        now = statuses(connection)
    return standing_now(connection, first, now, time.monotonic() - then, name)


def standing_now(
    connection: Connection[TupleRow],
    before: Sequence[Status],
    now: Sequence[Status],
    seconds: float,
    name: str | None = None,
) -> list[Standing]:
    """Put together how the projections stand, which had other statuses some seconds before."""
    then = {(one.name, one.version): one for one in before}
    parts = partitions(connection, name)
    running = {one.name: one for one in rebuilds(connection, name) if one.state in UNFINISHED}
    return [
        standing(
            one,
            then.get((one.name, one.version), one),
            seconds,
            [part for part in parts if part.name == one.name],
            running.get(one.name),
        )
        for one in now
        if name is None or one.name == name
    ]


def standing(
    now: Status, then: Status, seconds: float, parts: Sequence[Partition], rebuild: Rebuild | None
) -> Standing:
    """Put together how one projection stands."""
    live = [one for one in parts if one.side == "live" and one.version == now.version]
    errors = [one.failure for one in live if one.failure]
    rate, eta = pace(now, then, seconds)
    return Standing(
        name=now.name,
        version=now.version,
        state=state_of(now, rebuild),
        position=now.position,
        lag_events=now.events,
        lag_seconds=round(now.seconds, 3),
        events_per_second=rate,
        eta_seconds=eta,
        moved_at=now.moved_at,
        last_error=now.failure or next(iter(errors), None),
        failures=now.parked,
        has_retired=any(one.side == "retired" for one in parts),
        partitions=live,
        rebuild=rebuild,
    )


def pace(now: Status, then: Status, seconds: float) -> tuple[float | None, float | None]:
    """Return how many events a second are posted, and in how many seconds none is missing."""
    if not now.events or now is then or seconds <= 0:
        return None, None
    posted, gained = now.position - then.position, then.events - now.events
    eta = round(now.events / gained * seconds, 1) if gained > 0 else None
    return round(posted / seconds, 1), eta


def state_of(status: Status, rebuild: Rebuild | None) -> State:
    """Return the word for how a projection stands."""
    if status.paused:
        return "paused"
    if status.failure:
        return "failed"
    return "rebuilding" if rebuild else "live"
