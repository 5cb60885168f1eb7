"""The jobs of rebuilds, as they are stored: begun, looked at, throttled, cancelled."""

from datetime import datetime
from typing import Any, Literal

import msgspec
from psycopg import Connection, Rollback, errors
from psycopg.rows import TupleRow

from event_store import reading
from projections.posting.leases import Lease
from projections.projection import PARTITIONS, Projection
from projections.rebuilds.comparing import Comparison
from projections.rebuilds.new_tables import drop_tables, make_tables
from projections.rebuilds.swapping import forget

State = Literal[
    "folding",
    "indexing",
    "catching_up",
    "comparing",
    "ready",
    "swapping",
    "done",
    "cancelled",
    "failed",
]
OnFailure = Literal["stop", "park"]

INSERT = """
insert into projection_rebuilds
       (name, version, state, dry_run, hold, on_failure, throttle, target, indexes, striped)
values (%s, %s, 'folding', %s, %s, %s, %s, %s, %s::jsonb, %s)
returning id
"""

# Each job's tokens are its own: a builder knows its leases by them, also those of the job before.
CHECKPOINTS = """
insert into projection_checkpoints (name, version, side, token, partition)
select %s, %s, 'building', %s::bigint * 1000000, n from generate_series(0, %s - 1) n
"""
TOKENS_A_JOB = 1_000_000

IS_STRIPED = """
select striped from projection_rebuilds where name = %s and version = %s and finished_at is null
"""

FROM_THE_START = """
update projection_checkpoints set position = 0, token = token + 1, crashes = 0
 where name = %s and version = %s and side = 'building'
"""

BY_KEY = """
update projection_rebuilds set striped = false
 where id = %s and striped and state = 'folding' and finished_at is null
"""

JOBS = """
select r.id, r.name, r.version, r.state, r.dry_run, r.hold, r.on_failure, r.throttle,
       r.striped, r.started_at, r.finished_at,
       coalesce(c.position, case when r.state = 'done' then r.target else 0 end) as position,
       r.target,
       extract(epoch from coalesce(r.finished_at, clock_timestamp()) - r.started_at)::float8,
       r.swap_ms, r.error, r.rows::text, r.comparison::text,
       case when r.finished_at is null then f.failures else r.failures end as failures,
       case when r.finished_at is null then f.first::text else r.failed::text end as first_failures
  from projection_rebuilds r
  left join lateral (
        select count(*) as failures,
               coalesce(jsonb_agg(
                   jsonb_build_object('position', position, 'key', key, 'error', error)
                   order by position, key
               ) filter (where number <= 10), '[]') as first
          from (
                select position, key, min(error) as error,
                       row_number() over (order by position, key) as number
                  from projection_failures
                 where name = r.name and version = r.version and side = 'building'
                 group by position, key
               ) as each
       ) f on true
  left join lateral (
        select min(position) as position from projection_checkpoints c
         where c.name = r.name and c.version = r.version and c.side = 'building'
           and r.finished_at is null
       ) c on true
"""

# What could not be applied, before it goes with the tables, or becomes the live view's.
KEEP_FAILURES = f"""
update projection_rebuilds r set failures = found.failures, failed = found.first_failures::jsonb
  from ({JOBS} where r.id = %(id)s) as found
 where r.id = found.id
"""  # noqa: S608 - our own names

FINISH = """
update projection_rebuilds
   set state = %s, error = %s, finished_at = clock_timestamp()
 where id = %s and finished_at is null
"""


class RebuildRunning(Exception):  # noqa: N818 - reads as what was found
    """This projection is being rebuilt at this moment."""


class Failed(msgspec.Struct, frozen=True):
    """An event that could not be applied for a key, and why."""

    position: int
    key: str
    error: str


class Rebuild(msgspec.Struct, frozen=True):
    """A rebuild, under way or finished. `rows` are those of each table, live and new.

    `striped`: its builders share the log in stripes, of which Postgres makes what it can.
    `failures` counts keys with an event that could not be applied; ten of them are the
    `first_failures`.
    """

    id: int
    name: str
    version: int
    state: State
    dry_run: bool
    hold: bool
    on_failure: OnFailure
    throttle: float
    striped: bool
    started_at: datetime
    finished_at: datetime | None
    position: int
    target: int
    seconds: float
    swap_ms: float | None
    error: str | None
    rows: dict[str, tuple[int | None, int]] | None
    comparison: Comparison | None
    failures: int
    first_failures: list[Failed]

    @property
    def events_per_second(self) -> float:
        """How fast it is, or was, on average."""
        return self.position / self.seconds if self.seconds else 0.0

    @property
    def eta_seconds(self) -> float | None:
        """How long it will take still; None when that cannot be known."""
        if self.finished_at is not None or not self.position:
            return None
        return max(0, self.target - self.position) / self.events_per_second


def start(  # noqa: PLR0913 - what may be asked of a rebuild, each by its name
    connection: Connection[TupleRow],
    projection: Projection,
    *,
    dry_run: bool = False,
    hold: bool = False,
    on_failure: OnFailure = "stop",
    throttle: float = 1.0,
) -> Rebuild:
    """Begin a rebuild; workers, or whoever calls `work`, carry it out.

    `dry_run`: build, compare and drop. `hold`: build, compare and wait for `swap`. `on_failure`:
    what an event that cannot be applied does to it. Raises `RebuildRunning` if there is one.
    """
    check_share(throttle)
    options = [dry_run, hold, on_failure, throttle]
    try:
        with connection.transaction():
            of = [projection.name, projection.version]
            target = reading.head(connection)
            striped = projection.is_shared_by_stripes
            row = connection.execute(INSERT, [*of, *options, target, "[]", striped]).fetchone()
            assert row is not None  # noqa: S101 - what is inserted has an id
            forget(connection, projection, "building")
            indexes = msgspec.json.encode(make_tables(connection, projection)).decode()
            note(connection, row[0], "indexes = %s::jsonb", indexes)
            connection.execute(CHECKPOINTS, [*of, row[0], PARTITIONS])
    except errors.UniqueViolation:
        message = f"Projection {projection.name} is being rebuilt already."
        raise RebuildRunning(message) from None
    return find(connection, row[0])


def is_striped(connection: Connection[TupleRow], projection: Projection) -> bool:
    """Tell whether the unfinished rebuild is shared by stripes of the log."""
    values = [projection.name, projection.version]
    row = connection.execute(IS_STRIPED, values, prepare=True).fetchone()
    return bool(row and row[0])


def fold_by_key(connection: Connection[TupleRow], projection: Projection, job: Rebuild) -> None:
    """Let a rebuild begin anew and fold event by event: something in the log cannot be added up.

    Nobody can write any more what was read before.
    """
    with connection.transaction():
        connection.execute(FROM_THE_START, [projection.name, projection.version])
        if connection.execute(BY_KEY, [job.id]).rowcount == 0:
            raise Rollback  # somebody else has seen to it
        for table in projection.tables:
            connection.execute(f"truncate building.{table.name}".encode())


def holds(job: Rebuild, lease: Lease) -> bool:
    """Tell whether a lease is one of a job, and not of one before or after it."""
    return lease.token // TOKENS_A_JOB == job.id


def cancel(connection: Connection[TupleRow], projection: Projection) -> Rebuild:
    """Give the unfinished rebuild up; `LookupError` if there is none."""
    job = unfinished_of(connection, projection.name)
    end(connection, projection, job.id, "cancelled")
    return find(connection, job.id)


def end(
    connection: Connection[TupleRow],
    projection: Projection,
    job_id: int,
    state: State,
    error: str | None = None,
) -> None:
    """Finish a job without a swap: what was built is dropped, and nobody can write to it."""
    with connection.transaction():
        keep_failures(connection, job_id)
        forget(connection, projection, "building")
        drop_tables(connection, projection, "building")
        connection.execute(FINISH, [state, error, job_id])


def keep_failures(connection: Connection[TupleRow], job_id: int) -> None:
    """Keep with a job what could not be applied."""
    connection.execute(KEEP_FAILURES, {"id": job_id})


def throttle(connection: Connection[TupleRow], name: str, share: float) -> Rebuild:
    """Let a rebuild work for a share of the time only; `LookupError` if there is none."""
    check_share(share)
    job = unfinished_of(connection, name)
    note(connection, job.id, "throttle = %s", share)
    return find(connection, job.id)


def swap(connection: Connection[TupleRow], name: str) -> Rebuild:
    """Let a rebuild that is ready and waits be swapped in; `LookupError` if there is none."""
    job = unfinished_of(connection, name)
    if job.state != "ready":
        raise LookupError(f"The rebuild of {name} is not ready to be swapped in: {job.state}.")
    note(connection, job.id, "hold = false, state = 'catching_up', target = %s", job.position)
    return find(connection, job.id)


def check_share(share: float) -> None:
    """Raise `ValueError` unless a share is from a twentieth to all."""
    if not 0.05 <= share <= 1:  # noqa: PLR2004 - as the sentence says
        raise ValueError("A throttle is from 0.05 to 1.")


def rebuilds(
    connection: Connection[TupleRow], name: str | None = None, limit: int = 100
) -> list[Rebuild]:
    """Return the newest rebuilds of one projection or of all."""
    which = "where %s::text is null or r.name = %s order by r.id desc limit %s"
    return found(connection, which, [name, name, limit])


def find(connection: Connection[TupleRow], job_id: int) -> Rebuild:
    """Return one rebuild; `LookupError` if there is none."""
    for job in found(connection, "where r.id = %s", [job_id]):
        return job
    raise LookupError(f"There is no rebuild {job_id}.")


def unfinished(connection: Connection[TupleRow]) -> list[Rebuild]:
    """Return the rebuilds under way, the oldest first."""
    return found(connection, "where r.finished_at is null order by r.id", [])


def unfinished_of(connection: Connection[TupleRow], name: str) -> Rebuild:
    """Return the rebuild of a projection that is under way; `LookupError` if there is none."""
    for job in found(connection, "where r.finished_at is null and r.name = %s", [name]):
        return job
    raise LookupError(f"Projection {name} is not being rebuilt.")


def found(connection: Connection[TupleRow], which: str, values: list[Any]) -> list[Rebuild]:
    """Return the rebuilds that a condition picks."""
    rows = connection.execute(f"{JOBS} {which}".encode(), values).fetchall()
    return [job_of(row) for row in rows]


def job_of(row: TupleRow) -> Rebuild:
    """Make a job of its row."""
    plain, (rows, comparison, failures, failed) = row[:-4], row[-4:]
    counted = rows and msgspec.json.decode(rows, type=dict[str, tuple[int | None, int]])
    compared = comparison and msgspec.json.decode(comparison, type=Comparison)
    first = msgspec.json.decode(failed, type=list[Failed])
    return Rebuild(*[*plain, counted, compared, failures, first])


def note(connection: Connection[TupleRow], job_id: int, changes: str, *values: Any) -> None:
    """Change something about a job."""
    statement = f"update projection_rebuilds set {changes} where id = %s"  # noqa: S608 - our own words
    connection.execute(statement.encode(), [*values, job_id])
