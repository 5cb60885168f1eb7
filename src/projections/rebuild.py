"""Rebuilding a view from the first event on, beside the live one, which is read and posted on.

A rebuild is a job with states, and everything that it has reached is stored: whoever works on it,
in any number of processes, may be killed at any point, and another goes on. The partitions are
shared as those of live views are; who holds partition 0 also does what is to be done once.
"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import msgspec
import psycopg
import structlog
from psycopg import Connection, IsolationLevel, errors
from psycopg.rows import TupleRow

from event_store import reading
from event_store.privacy.keyring import NO_KEYS, Keyring
from projections.building import Builder, Stumbled
from projections.comparing import compare, counted, summed
from projections.engine import UNFIT, ProjectionFailed, post_page
from projections.folding import described, skips
from projections.jobs import (
    OnFailure,
    Rebuild,
    RebuildRunning,
    State,
    cancel,
    end,
    find,
    fold_by_key,
    holds,
    note,
    rebuilds,
    start,
    swap,
    throttle,
    unfinished,
    unfinished_of,
)
from projections.leases import BEAT_SECONDS, CAREFUL_CRASHES, Crew, Lease, LeaseLost, joined
from projections.pages import PAGE, Pages
from projections.progress import tell
from projections.projection import Projection
from projections.status import partitions
from projections.swapping import (
    MOST_BEHIND,
    NothingToSwap,
    TooFarBehind,
    bring_to,
    drop_older,
    drop_retired,
    swap_patiently,
)

__all__ = [
    "Labour",
    "OnFailure",
    "Rebuild",
    "RebuildFailed",
    "RebuildRunning",
    "Rebuilt",
    "cancel",
    "find",
    "prune",
    "rebuild",
    "rebuilds",
    "rollback",
    "start",
    "swap",
    "throttle",
    "unfinished",
]

IDLE_SECONDS = 0.1
LIVE_SECONDS = 5.0
REST_SECONDS = 0.5
# The last three: somebody has cancelled it, swapped it in, or is at the same.
LOST = (LeaseLost, NothingToSwap, errors.UndefinedTable, errors.SerializationFailure)
Report = Callable[[int, int], None]

log = structlog.get_logger(__name__)

CONDUCTED = """
select token from projection_checkpoints
 where name = %s and version = %s and side = 'building' and partition = 0 for update
"""

REACHED = """
select min(position) from projection_checkpoints
 where name = %s and version = %s and side = 'building'
"""

STANDINGS = """
select partition, token, position from projection_checkpoints
 where name = %s and version = %s and side = %s order by partition
"""


class RebuildFailed(Exception):  # noqa: N818 - reads as what happened
    """A rebuild has been given up; the live view is as it was."""


class Rebuilt(msgspec.Struct, frozen=True):
    """What a rebuild made: events passed, and rows by table before and after."""

    position: int
    rows: dict[str, tuple[int | None, int]]


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
            fail(connection, projection, job, str(error))
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
            builder = Builder(projection, group, self._keys, striped=job.striped)
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


def make_indexes(
    connection: Connection[TupleRow],
    projection: Projection,
    job: Rebuild,
    conducts: Lease,
    _keys: Keyring,
) -> None:
    """Make the indexes that were left for the end, then go on."""
    row = connection.execute(
        "select indexes from projection_rebuilds where id = %s", [job.id]
    ).fetchone()
    for statement in row[0] if row else []:
        with connection.transaction():
            conducting(connection, projection, conducts)
            connection.execute("set local statement_timeout = 0")
            connection.execute("set local maintenance_work_mem = '128MB'")
            connection.execute(statement.encode())
    for table in projection.tables:
        connection.execute(f"analyze building.{table.name}".encode())
    with connection.transaction():
        conducting(connection, projection, conducts)
        note(connection, job.id, "state = 'catching_up'")


def conducting(connection: Connection[TupleRow], projection: Projection, lease: Lease) -> None:
    """Make sure, until the transaction ends, that nobody else does what is done once."""
    row = connection.execute(CONDUCTED, [projection.name, projection.version]).fetchone()
    if row is None or row[0] != lease.token:
        raise LeaseLost(projection.name)


Standings = list[tuple[int, int, int]]


def standings(connection: Connection[TupleRow], projection: Projection, side: str) -> Standings:
    """Return partition, token and position of each partition of a side."""
    values = [projection.name, projection.version, side]
    return connection.execute(STANDINGS, values).fetchall()


def compare_now(
    connection: Connection[TupleRow],
    projection: Projection,
    job: Rebuild,
    conducts: Lease,
    keys: Keyring,
) -> None:
    """Bring the new tables to where the live ones are, and compare, all as of one moment."""
    wait_for_live(connection, projection)
    before = connection.isolation_level
    connection.isolation_level = IsolationLevel.REPEATABLE_READ
    try:
        with connection.transaction():
            connection.execute("set local statement_timeout = 0")
            connection.execute("set local idle_in_transaction_session_timeout = '60s'")
            conducting(connection, projection, conducts)
            comparison = None
            rows: dict[str, tuple[int | None, int]]
            if level_with_live(connection, projection, keys):
                position = min(one[2] for one in standings(connection, projection, "live"))
                comparison = compare(connection, projection, position)
                rows = {one.table: (one.live_rows, one.new_rows) for one in comparison.tables}
            else:
                rows = counted(connection, projection)
            changes = "rows = %s::jsonb, comparison = %s::jsonb, state = %s"
            encode = msgspec.json.encode
            compared = None if comparison is None else encode(comparison).decode()
            state = "ready" if job.hold else "swapping"
            note(connection, job.id, changes, encode(rows).decode(), compared, state)
    finally:
        connection.isolation_level = before
    if job.dry_run:
        end(connection, projection, job.id, "done")


def wait_for_live(connection: Connection[TupleRow], projection: Projection) -> None:
    """Wait a little for the live view to come to where the new tables are, if it is posted."""
    if not any(one.holder for one in partitions(connection, projection.name) if one.side == "live"):
        return
    ends = time.monotonic() + LIVE_SECONDS
    while time.monotonic() < ends:
        live = min(one[2] for one in standings(connection, projection, "live"))
        if live >= max(
            (one[2] for one in standings(connection, projection, "building")), default=0
        ):
            return
        time.sleep(IDLE_SECONDS)


def level_with_live(
    connection: Connection[TupleRow], projection: Projection, keys: Keyring
) -> bool:
    """Bring each new partition to where the live one is; False if one is further already."""
    live = {
        partition: position for partition, _, position in standings(connection, projection, "live")
    }
    new = standings(connection, projection, "building")
    if any(position > live[partition] for partition, _, position in new):
        return False
    for position in sorted(set(live.values())):
        group = [Lease(p, token, at) for p, token, at in new if live[p] == position]
        late = [one for one in group if one.position < position]
        bring_to(connection, projection, "building", late, position, keys)
    for partition, position in live.items():
        connection.execute(
            "update projection_checkpoints set position = %s, token = token + 1"
            " where name = %s and version = %s and side = 'building' and partition = %s",
            [position, projection.name, projection.version, partition],
        )
    return True


def swap_now(
    connection: Connection[TupleRow],
    projection: Projection,
    job: Rebuild,
    _conducts: Lease,
    keys: Keyring,
) -> None:
    """Swap the new tables in and finish the job, or send it back to catch up."""

    def finish() -> None:
        note(connection, job.id, "state = 'done', finished_at = clock_timestamp()")

    try:
        position, milliseconds = swap_patiently(connection, projection, "building", keys, finish)
    except TooFarBehind:
        note(connection, job.id, "state = 'catching_up'")
        return
    tell(connection, projection)
    note(connection, job.id, "swap_ms = %s, target = %s", milliseconds, position)
    log.info("rebuilt", projection=job.name, position=position, swap_ms=round(milliseconds, 1))


CONDUCT = {"indexing": make_indexes, "comparing": compare_now, "swapping": swap_now}
"""What the holder of partition 0 does in each state."""


def fail(
    connection: Connection[TupleRow], projection: Projection, job: Rebuild, reason: str
) -> None:
    """Give a job up and say why."""
    log.error("rebuild_failed", projection=job.name, reason=reason)
    end(connection, projection, job.id, "failed", reason)


def rollback(
    connection: Connection[TupleRow], projection: Projection, keys: Keyring = NO_KEYS
) -> Rebuilt:
    """Bring the tables that the last swap retired up to date, and swap them back in.

    `LookupError` if there are none, `RebuildRunning` while the projection is being rebuilt.
    """
    if any(job.name == projection.name for job in unfinished(connection)):
        raise RebuildRunning(f"Projection {projection.name} is being rebuilt.")
    if not standings(connection, projection, "retired"):
        raise LookupError(f"There is nothing that {projection.name} could be rolled back to.")
    pages = Pages([projection], keys)
    while True:
        with joined(connection, [projection], "retired") as crew:
            leases = crew.leases(projection, "retired")
            while (
                leases and post_page(connection, projection, leases, pages, "retired") > PAGE // 4
            ):
                crew.beat_if_due(connection)
        try:
            position, _ = swap_patiently(connection, projection, "retired", keys)
        except TooFarBehind:
            continue
        tell(connection, projection)
        rows: dict[str, tuple[int | None, int]] = {
            str(table.name): (
                summed(connection, table, "retired")[0],
                summed(connection, table, "live")[0],
            )
            for table in projection.tables
        }
        return Rebuilt(position, rows)


def prune(connection: Connection[TupleRow], projection: Projection) -> int:
    """Drop the tables that swaps retired, older versions too; return how many there were."""
    with connection.transaction():
        return drop_retired(connection, projection) + drop_older(connection, projection)
