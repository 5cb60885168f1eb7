"""One worker's part in all rebuilds that are under way, with a heart-beat of its own."""

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import psycopg
import structlog
from psycopg import Connection, errors
from psycopg.rows import TupleRow

from event_store import reading
from event_store.privacy.keyring import NO_KEYS, Keyring
from projections.posting.folding import described, skips
from projections.posting.leases import BEAT_SECONDS, CAREFUL_CRASHES, Crew, Lease, LeaseLost
from projections.posting.pages import PAGE, Pages
from projections.posting.post_page import UNFIT, ProjectionFailed, post_page
from projections.projection import Projection
from projections.rebuilds.building import Builder, Stumbled
from projections.rebuilds.jobs import (
    Rebuild,
    State,
    end,
    find,
    fold_by_key,
    holds,
    note,
    unfinished,
)
from projections.rebuilds.once import CONDUCT, conducting, standings
from projections.rebuilds.swapping import MOST_BEHIND, NothingToSwap

REST_SECONDS = 0.5
# The last three: somebody has cancelled it, swapped it in, or is at the same.
LOST = (LeaseLost, NothingToSwap, errors.UndefinedTable, errors.SerializationFailure)

log = structlog.get_logger(__name__)

REACHED = """
select min(position) from projection_checkpoints
 where name = %s and version = %s and side = 'building'
"""


@contextmanager
def labour(
    connection: Connection[TupleRow],
    projections: Mapping[str, Projection],
    keys: Keyring = NO_KEYS,
) -> Iterator["Labour"]:
    """Join those who build, with a heart-beat over a connection of its own, for a block."""
    info = connection.info
    crew = Crew(projections.values(), "building")
    beating = Connection.connect(info.dsn, password=info.password or None, autocommit=True)
    stop = threading.Event()

    def beat() -> None:
        while not stop.wait(BEAT_SECONDS):
            try:
                crew.beat(beating)
            except psycopg.Error as error:
                log.warning("builder_beat_failed", error=str(error).strip())
                if beating.closed:
                    return

    with beating:
        crew.beat(beating)
        thread = threading.Thread(target=beat, name="builder", daemon=True)
        thread.start()
        try:
            yield Labour(projections, crew, beating, keys)
        finally:
            stop.set()
            thread.join()
            if not beating.closed:
                crew.leave(beating)


class Labour:
    """One worker's part in all rebuilds that are under way."""

    def __init__(
        self,
        projections: Mapping[str, Projection],
        crew: Crew,
        beating: Connection[TupleRow],
        keys: Keyring,
    ) -> None:
        self._projections, self._crew, self._beating = projections, crew, beating
        self._keys = keys
        self._builders: dict[str, Builder] = {}
        self._heard_of: set[int] = set()

    def step(self, connection: Connection[TupleRow]) -> bool:
        """Do the next thing that is to be done here; False if there is none at this moment."""
        for job in unfinished(connection):
            projection = self._projections.get(job.name)
            if projection is None or projection.version != job.version:
                continue
            began = time.monotonic()
            if self._step(connection, projection, job):
                rest(connection, job, time.monotonic() - began)
                return True
        return False

    def _step(self, connection: Connection[TupleRow], projection: Projection, job: Rebuild) -> bool:
        leases = [one for one in self._crew.leases(projection, "building") if holds(job, one)]
        if not leases and job.id not in self._heard_of:
            self._heard_of.add(job.id)
            self._crew.beat(self._beating)
            return True
        if not leases:
            self._crew.beat_if_due(self._beating)
            return False
        try:
            return self._stage(connection, projection, job, leases)
        except LOST as lost:
            log.info("rebuild_lost", projection=job.name, error=str(lost).strip())
            self._builders.pop(job.name, None)
            self._crew.look_again(self._beating, projection)
            return False
        except (Stumbled, ProjectionFailed, *UNFIT) as error:
            knows = isinstance(error, (Stumbled, ProjectionFailed))
            fail(connection, projection, job, str(error) if knows else described(error))
            return True

    def _stage(
        self,
        connection: Connection[TupleRow],
        projection: Projection,
        job: Rebuild,
        leases: list[Lease],
    ) -> bool:
        conducts = next((one for one in leases if one.partition == 0), None)
        if job.state == "folding":
            return self._fold(connection, projection, job, leases) or (
                conducts is not None and self._advance(connection, projection, job, "indexing")
            )
        if job.state == "catching_up":
            if job.on_failure == "stop" and job.failures:
                fail(connection, projection, job, "an event cannot be applied")
                return True
            return self._catch_up(connection, projection, leases) or (
                conducts is not None and self._caught_up(connection, projection, job, conducts)
            )
        conduct = CONDUCT.get(job.state)
        if conducts is None or conduct is None:
            return False
        conduct(connection, projection, job, conducts, self._keys)
        return True

    def _fold(
        self,
        connection: Connection[TupleRow],
        projection: Projection,
        job: Rebuild,
        leases: list[Lease],
    ) -> bool:
        lowest = min(one.position for one in leases)
        if lowest >= job.target:
            return False
        group = [one for one in leases if one.position == lowest]
        others = [one.position for one in leases if one.position > lowest]
        target = min([job.target, *others])
        builder = self._builders.get(job.name)
        if builder is None or builder.tokens != {one.partition: one.token for one in group}:
            builder = Builder(projection, group, self._keys, job)
            self._builders[job.name] = builder
        try:
            if job.striped and any(one.crashes >= CAREFUL_CRASHES for one in group):
                fold_by_key(connection, projection, job)
            elif not job.striped and any(one.parked or one.crashes for one in group):
                self._park(connection, projection, group)
            else:
                builder.stretch(connection, target)
        except (Stumbled, *UNFIT) as error:
            if job.striped:
                log.info("not_added_up", projection=job.name, error=described(error))
                fold_by_key(connection, projection, job)
                return True
            position = error.position if isinstance(error, Stumbled) else -1
            if job.on_failure == "stop" and not skips(connection, projection, [position]):
                raise
            self._park(connection, projection, group)
        except BaseException:
            self._builders.pop(job.name, None)
            raise
        return True

    def _park(
        self, connection: Connection[TupleRow], projection: Projection, group: list[Lease]
    ) -> None:
        """Go on page by page, as live views are posted: what cannot be applied is parked."""
        self._builders.pop(projection.name, None)
        post_page(connection, projection, group, Pages([projection], self._keys), "building")

    def _advance(
        self, connection: Connection[TupleRow], projection: Projection, job: Rebuild, state: State
    ) -> bool:
        """Go on to the next state once all partitions, wherever they are built, have come far."""
        row = connection.execute(REACHED, [projection.name, projection.version]).fetchone()
        if row is None or row[0] is None or row[0] < job.target:
            return False
        note(connection, job.id, "state = %s", state)
        return True

    def _catch_up(
        self, connection: Connection[TupleRow], projection: Projection, leases: list[Lease]
    ) -> bool:
        pages = Pages([projection], self._keys)
        return post_page(connection, projection, leases, pages, "building") > PAGE // 4

    def _caught_up(
        self,
        connection: Connection[TupleRow],
        projection: Projection,
        job: Rebuild,
        conducts: Lease,
    ) -> bool:
        row = connection.execute(REACHED, [projection.name, projection.version]).fetchone()
        if row is None or row[0] is None or reading.head(connection) - row[0] > MOST_BEHIND:
            return False
        comparable = bool(standings(connection, projection, "live"))
        compared = not comparable or (job.rows is not None and not job.hold)
        with connection.transaction():
            conducting(connection, projection, conducts)
            note(connection, job.id, "state = %s", "swapping" if compared else "comparing")
        return True


def rest(connection: Connection[TupleRow], job: Rebuild, worked: float) -> None:
    """Sleep so long that the work took the job's share of the time; the share may change soon."""
    began = time.monotonic()
    while job.finished_at is None:
        left = worked * (1 / job.throttle - 1) - (time.monotonic() - began)
        if left <= 0:
            return
        time.sleep(min(left, REST_SECONDS))
        if left > REST_SECONDS:
            job = find(connection, job.id)


def fail(
    connection: Connection[TupleRow], projection: Projection, job: Rebuild, reason: str
) -> None:
    """Give a job up and say why."""
    log.error("rebuild_failed", projection=job.name, reason=reason)
    end(connection, projection, job.id, "failed", reason)
