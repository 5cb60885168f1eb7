"""What is done once for a rebuild, by who holds partition 0: indexes, the comparison, the swap."""

import time

import msgspec
import structlog
from psycopg import Connection, IsolationLevel
from psycopg.rows import TupleRow

from event_store.privacy.keyring import Keyring
from projections.posting.leases import Lease, LeaseLost
from projections.posting.progress import tell
from projections.posting.status import partitions
from projections.projection import Projection
from projections.rebuilds.comparing import compare, counted
from projections.rebuilds.jobs import Rebuild, end, keep_failures, note
from projections.rebuilds.swapping import TooFarBehind, bring_to, swap_patiently

LOOK_SECONDS = 0.1
LIVE_SECONDS = 60.0
STILL_SECONDS = 5.0
UNPOSTED_SECONDS = 1.0  # a worker may just hand its leases on

log = structlog.get_logger(__name__)

CONDUCTED = """
select token from projection_checkpoints
 where name = %s and version = %s and side = 'building' and partition = 0 for update
"""

STANDINGS = """
select partition, token, position from projection_checkpoints
 where name = %s and version = %s and side = %s order by partition
"""


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
    """Wait for the live view to come to where the new tables are, for as long as it moves."""
    began = moved = time.monotonic()
    before = -1
    while (now := time.monotonic()) < began + LIVE_SECONDS:
        live = min(one[2] for one in standings(connection, projection, "live"))
        new = (one[2] for one in standings(connection, projection, "building"))
        if live >= max(new, default=0):  # none: it has been cancelled
            return
        if live != before:
            before, moved = live, now
        if now - moved > (STILL_SECONDS if is_posted(connection, projection) else UNPOSTED_SECONDS):
            return
        time.sleep(LOOK_SECONDS)


def is_posted(connection: Connection[TupleRow], projection: Projection) -> bool:
    """Tell whether somebody follows the log with the live view at this moment."""
    return any(
        one.side == "live" and one.holder is not None
        for one in partitions(connection, projection.name)
    )


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
    keep_failures(connection, job.id)

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
