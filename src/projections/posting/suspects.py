"""Events on the try: one at a time, noted beforehand, so that a worker's death can be laid to one.

Workers die of much that is no event's fault: an operator's kill, a lack of memory, another view.
So a death only counts against an event if it was being tried, alone in its process, and each way
in which a try can end but death takes back all that was counted. Before the next try there is a
pause, in which a process that dies of something else does so without an event on the try; then the
event is rehearsed in a copy of the process, and parked at once if the copy dies of it as well.
"""

import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

import psycopg
from psycopg import Connection
from psycopg.rows import TupleRow

from projections.posting.leases import Lease, LeaseLost
from projections.posting.rehearsal import death_of
from projections.sides import Side

# With so many at the same event it needs no rehearsal to show it.
LAST_DEATH = 3
PAUSE_SECONDS = 0.5
TURN_SECONDS = 1.0

Where = tuple[str, int, Side]
"""A projection's name, its version, and the side that is meant."""

HEAD = "select position from log_head"

TRY = """
update projection_checkpoints c set trying = c.position
  from unnest(%s::int[], %s::bigint[]) as held (partition, token)
 where c.name = %s and c.version = %s and c.side = %s
   and c.partition = held.partition and c.token = held.token
"""

ACQUIT = """
update projection_checkpoints c set trying = null, deaths = 0
  from unnest(%s::int[], %s::bigint[]) as held (partition, token)
 where c.name = %s and c.version = %s and c.side = %s
   and c.partition = held.partition and c.token = held.token
"""

_turn = threading.Lock()


class KilledItsWorker(Exception):  # noqa: N818 - reads as what happened
    """Workers died again and again while they applied an event, and nothing else."""


class AnotherIsTried(Exception):  # noqa: N818 - reads as what happened
    """Another view of this process has had an event on the try for long."""


def news(connection: Connection[TupleRow], after: int) -> bool:
    """Tell whether the log goes on after a position: a worker without work tries nothing."""
    row = connection.execute(HEAD, prepare=True).fetchone()
    return row is not None and row[0] > after


@contextmanager
def on_the_try(
    connection: Connection[TupleRow],
    where: Where,
    group: Sequence[Lease],
    rehearse: Callable[[], object],
) -> Iterator[KilledItsWorker | None]:
    """Note, for a block, that the event after some partitions' position is being tried.

    Gives what is to be said of it if it is known to kill its workers: then it is not to be applied.
    `rehearse` applies it and undoes that. Raises `LeaseLost` and `AnotherIsTried`.
    """
    deaths = max(one.deaths for one in group)
    known = verdict(deaths, rehearse)
    if not _turn.acquire(timeout=TURN_SECONDS):
        raise AnotherIsTried(where[0])
    try:
        held = [one.partition for one in group], [one.token for one in group]
        if connection.execute(TRY, [*held, *where]).rowcount != len(group):
            raise LeaseLost(where[0])
        try:
            yield known
        except Exception:
            with suppress(psycopg.Error):  # whoever takes over has only this death to count
                connection.execute(ACQUIT, [*held, *where])
                for one in group:
                    one.deaths = 0
            raise
        for one in group:
            one.deaths = 0
    finally:
        _turn.release()


def verdict(deaths: int, rehearse: Callable[[], object]) -> KilledItsWorker | None:
    """Return what is to be said of an event at which so many workers died while they tried it."""
    if deaths >= LAST_DEATH:
        return KilledItsWorker(f"{deaths} workers died while they applied it alone.")
    if deaths:
        time.sleep(PAUSE_SECONDS * random.uniform(0.5, 1.5))  # noqa: S311 - out of step
        if death := death_of(rehearse):
            return KilledItsWorker(f"A worker died while it applied it alone, and a copy: {death}.")
    return None
