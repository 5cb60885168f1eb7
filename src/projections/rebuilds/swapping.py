"""Putting the tables of another side in the place of the live ones, in one short transaction."""

import random
import time
from collections.abc import Callable

from psycopg import Connection, errors, sql
from psycopg.rows import TupleRow

from event_store.privacy.keyring import Keyring
from projections.posting.folding import fold
from projections.posting.leases import Lease
from projections.posting.pages import Pages
from projections.posting.post_page import write
from projections.projection import Projection
from projections.rebuilds.new_tables import WAITING, drop_tables, move_tables
from projections.sides import SCHEMAS, Side

# Readers wait behind a swap that waits: so it waits a moment only, and comes again.
WAIT_MS = 25
PAUSE_SECONDS = 0.2
PATIENCE_SECONDS = 300.0
MOST_BEHIND = 500

LOOK = """
select side, partition, token, position from projection_checkpoints
 where name = %s and version = %s and side = any(%s)
 order by side desc, partition
"""
LOCK = f"{LOOK} for update"

STAND_AT = """
update projection_checkpoints set position = %s, moved_at = clock_timestamp()
 where name = %s and version = %s and side = %s
"""

# Higher than any token of either side, so that nothing that was begun before can be committed.
RENAME = """
update projection_checkpoints
   set side = %(to)s, token = %(token)s, holder = null, held_since = null, failure = null,
       trying = null, crashes = 0, deaths = 0
 where name = %(name)s and version = %(version)s and side = %(from)s
"""

RENAMED_TOO = ("projection_failures", "projection_parked")

SERVE = """
insert into projection_versions (name, version, serves, tables) values (%s, %s, %s, %s)
    on conflict (name, version) do update
   set serves = excluded.serves, tables = excluded.tables
"""


class NothingToSwap(LookupError):  # noqa: N818 - reads as what was found
    """The tables to be swapped in are gone: somebody has swapped them in, or given them up."""


class TooFarBehind(Exception):  # noqa: N818 - reads as what was found
    """The tables to be swapped in have to catch up before that can be done in a moment."""


def swap_patiently(
    connection: Connection[TupleRow],
    projection: Projection,
    source: Side,
    keys: Keyring,
    also: Callable[[], None] = lambda: None,
) -> tuple[int, float]:
    """Swap as soon as nobody is in the way; return the position and for how many ms it was.

    `also` is done in the same transaction. Raises `TooFarBehind`, and `LockNotAvailable` when
    somebody has been in the way for five minutes.
    """
    ends = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return swap(connection, projection, source, keys, also)
        except (errors.LockNotAvailable, errors.DeadlockDetected):
            if time.monotonic() > ends:
                raise
            time.sleep(PAUSE_SECONDS * random.uniform(0.5, 1.5))  # noqa: S311 - out of step


def swap(
    connection: Connection[TupleRow],
    projection: Projection,
    source: Side,
    keys: Keyring,
    also: Callable[[], None],
) -> tuple[int, float]:
    """Swap now or raise: whoever reads sees the old tables or the new ones, whole."""
    with connection.transaction():
        drop_retired(connection, projection, source)
    approach(connection, projection, source, keys)
    began = time.monotonic()
    with connection.transaction():
        connection.execute(f"set local lock_timeout = {WAIT_MS}")
        rows = lock(connection, projection, source, ["live", source])
        position = level(connection, projection, source, rows, keys)
        # What is left needs few answers: each would be a wait for a turn on a busy machine.
        with connection.pipeline():
            exchange_tables(connection, projection, source)
            token = max(row[2] for row in rows) + 1
            exchange_checkpoints(connection, projection, source, token)
            names = [table.name for table in projection.tables]
            of = [projection.name, projection.version]
            connection.execute(SERVE, [*of, projection.version, names])
            also()
    return position, (time.monotonic() - began) * 1_000


def approach(
    connection: Connection[TupleRow], projection: Projection, source: Side, keys: Keyring
) -> None:
    """Bring a side to where the live one is, which goes on: little is left to do in the swap."""
    with connection.transaction():
        rows = lock(connection, projection, source, [source])
        of = [projection.name, projection.version, ["live"]]
        level(connection, projection, source, rows + connection.execute(LOOK, of).fetchall(), keys)


Locked = tuple[Side, int, int, int]


def lock(
    connection: Connection[TupleRow], projection: Projection, source: Side, sides: list[Side]
) -> list[Locked]:
    """Lock the checkpoints of some sides; a page that is being committed is waited for."""
    values = [projection.name, projection.version, sides]
    rows = connection.execute(LOCK, values).fetchall()
    if not any(side == source for side, *_ in rows):
        raise NothingToSwap(f"There are no {source} tables of {projection.name}.")
    return rows


def level(
    connection: Connection[TupleRow],
    projection: Projection,
    source: Side,
    rows: list[Locked],
    keys: Keyring,
) -> int:
    """Bring all of a side to the furthest position of either; return that."""
    furthest = max(row[3] for row in rows)
    behind = [
        Lease(partition, token, position)
        for side, partition, token, position in rows
        if side == source and position < furthest
    ]
    if behind and furthest - min(one.position for one in behind) > MOST_BEHIND:
        raise TooFarBehind(projection.name)
    bring_to(connection, projection, source, behind, furthest, keys)
    values = [furthest, projection.name, projection.version, source]
    connection.execute(STAND_AT, values)
    return furthest


def bring_to(  # noqa: PLR0913, PLR0917 - what is brought where, and who may read it
    connection: Connection[TupleRow],
    projection: Projection,
    side: Side,
    leases: list[Lease],
    position: int,
    keys: Keyring,
) -> None:
    """Apply events up to a position to partitions whose checkpoints are locked."""
    pages = Pages([projection], keys)
    for after in sorted({one.position for one in leases}):
        group = [one for one in leases if one.position == after]
        load_parked(connection, projection, side, group)
        _, items = pages.read(connection, projection, after, position)
        folded = fold(connection, projection, group, items, side=side)
        write(connection, (projection.name, projection.version, side), folded)


def load_parked(
    connection: Connection[TupleRow], projection: Projection, side: Side, group: list[Lease]
) -> None:
    """Let leases know which keys wait."""
    query = """
        select partition, key from projection_failures
         where name = %s and version = %s and side = %s
    """
    by_partition = {one.partition: one for one in group}
    values = [projection.name, projection.version, side]
    for partition, key in connection.execute(query, values).fetchall():
        if partition in by_partition:
            by_partition[partition].parked.add(key)


def exchange_tables(connection: Connection[TupleRow], projection: Projection, source: Side) -> None:
    """Live tables become retired ones, and those of the source live ones."""
    names = [table.name for table in projection.tables]
    spare = SCHEMAS["building" if source == "retired" else "retired"]
    for name in names:
        kind = connection.execute(
            "select relkind from pg_class where oid = to_regclass(%s)", [f"public.{name}"]
        ).fetchone()
        if kind and kind[0] in {"v", b"v"}:  # it showed the version before
            connection.execute(f"drop view public.{name}".encode())
        elif kind:
            move_tables(connection, [name], "public", spare)
    move_tables(connection, names, SCHEMAS[source], "public")
    if source == "retired":
        move_tables(connection, names, spare, "retired")
    for name in names:
        connection.execute(f"drop table if exists {WAITING}.{name}".encode())


def exchange_checkpoints(
    connection: Connection[TupleRow], projection: Projection, source: Side, token: int
) -> None:
    """Let the checkpoints, failures and parked events go with their tables."""
    spare: Side = "building" if source == "retired" else "retired"
    rename(connection, projection, "live", spare, token)
    rename(connection, projection, source, "live", token)
    if source == "retired":
        rename(connection, projection, spare, "retired", token)


def rename(
    connection: Connection[TupleRow],
    projection: Projection,
    source: Side,
    target: Side,
    token: int,
) -> None:
    """Let everything about one side be about another."""
    values = {
        "name": projection.name,
        "version": projection.version,
        "from": source,
        "to": target,
        "token": token,
    }
    connection.execute(RENAME, values)
    for table in RENAMED_TOO:
        connection.execute(
            f"update {table} set side = %(to)s "  # noqa: S608 - our own names
            "where name = %(name)s and version = %(version)s and side = %(from)s".encode(),
            values,
        )


OLDER = "select version, tables from projection_versions where name = %s and version < %s"


def drop_older(connection: Connection[TupleRow], projection: Projection) -> int:
    """Drop the versions before the one that is read; return how many tables there were."""
    of = [projection.name, projection.version]
    served = connection.execute(
        "select serves from projection_versions where name = %s and version = %s", of
    ).fetchone()
    if served is None or served[0] != projection.version:
        return 0
    dropped = 0
    for version, tables in connection.execute(OLDER, of).fetchall():
        for name in tables:
            connection.execute(sql.SQL("drop table {}").format(sql.Identifier("public", name)))
            dropped += 1
        for table in ("projection_checkpoints", "projection_versions", *RENAMED_TOO):
            connection.execute(
                f"delete from {table} where name = %s and version = %s".encode(),  # noqa: S608 - our own names
                [projection.name, version],
            )
    return dropped


def drop_retired(
    connection: Connection[TupleRow], projection: Projection, source: Side = "building"
) -> int:
    """Drop what an earlier swap has left, unless it is what is wanted; return how many tables."""
    if source == "retired":
        return 0
    dropped = drop_tables(connection, projection, "retired")
    forget(connection, projection, "retired")
    return dropped


def forget(connection: Connection[TupleRow], projection: Projection, side: Side) -> None:
    """Forget the checkpoints, failures and parked events of a side."""
    for table in ("projection_checkpoints", *RENAMED_TOO):
        connection.execute(
            f"delete from {table} where name = %s and version = %s and side = %s".encode(),  # noqa: S608 - our own names
            [projection.name, projection.version, side],
        )
