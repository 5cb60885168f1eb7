"""Rebuilding a view from the first event on, beside the live one, which is read and posted on."""

from collections.abc import Callable

import msgspec
from psycopg import Connection, errors, sql
from psycopg.rows import TupleRow

from event_store import reading
from event_store.privacy.keyring import NO_KEYS, Keyring
from projections.engine import MOVE, Pages, apply_page
from projections.progress import tell
from projections.projection import Projection

BESIDE = "rebuilding"
# Each waits for two seconds (lock_timeout): what was built in an hour is not given up in a moment.
SWAP_ATTEMPTS = 30
LOCK = "select pg_try_advisory_lock(hashtextextended('daybook rebuild ' || %s, 0))"
UNLOCK = "select pg_advisory_unlock(hashtextextended('daybook rebuild ' || %s, 0))"
TAKE_AND_WAIT = """
select position from projection_checkpoints where name = %s and version = %s for update
"""


class RebuildRunning(Exception):  # noqa: N818 - reads as what was found
    """Somebody else rebuilds this projection at this moment."""


class Rebuilt(msgspec.Struct, frozen=True):
    """What a rebuild made: events passed, and rows by table before and after."""

    position: int
    rows: dict[str, tuple[int, int]]


def rebuild(
    connection: Connection[TupleRow],
    projection: Projection,
    report: Callable[[int, int], None],
    keys: Keyring = NO_KEYS,
) -> Rebuilt:
    """Build the tables anew and swap them in; `report` is told the position reached and the end.

    Killed at any point it leaves the live tables as they are; the next rebuild begins again.
    Raises `RebuildRunning` if one is under way.
    """
    row = connection.execute(LOCK, [projection.name]).fetchone()
    if row is None or not row[0]:
        message = f"Projection {projection.name} is being rebuilt already."
        raise RebuildRunning(message)
    try:
        make_tables(connection, projection)
        pages = Pages([projection], keys)
        position = fold_log(connection, projection, report, pages)
        return swap_patiently(connection, projection, position, pages)
    finally:
        connection.execute("set search_path to public")
        connection.execute(UNLOCK, [projection.name])


def make_tables(connection: Connection[TupleRow], projection: Projection) -> None:
    """Make empty tables like the live ones; from here on this connection means the new ones."""
    with connection.transaction():
        for table in projection.tables:
            name, beside = sql.Identifier(table.name), sql.Identifier(BESIDE, table.name)
            connection.execute(sql.SQL("drop table if exists {}").format(beside))
            make = "create table {} (like public.{} including all)"
            connection.execute(sql.SQL(make).format(beside, name))
    connection.execute(sql.SQL("set search_path to {}, public").format(sql.Identifier(BESIDE)))


def fold_log(
    connection: Connection[TupleRow],
    projection: Projection,
    report: Callable[[int, int], None],
    pages: Pages,
) -> int:
    """Post the whole log to the new tables; return the position reached."""
    position, end = 0, reading.head(connection)
    while position < end:
        with connection.transaction():
            position = apply_page(connection, projection, position, pages)
        end = reading.head(connection)
        report(position, end)
    return position


def swap_patiently(
    connection: Connection[TupleRow], projection: Projection, position: int, pages: Pages
) -> Rebuilt:
    """Swap, again and again while a long query or page holds what the swap needs."""
    for _ in range(SWAP_ATTEMPTS - 1):
        try:
            return swap(connection, projection, position, pages)
        except errors.LockNotAvailable:
            continue
    return swap(connection, projection, position, pages)


def swap(
    connection: Connection[TupleRow], projection: Projection, position: int, pages: Pages
) -> Rebuilt:
    """Put the new tables in the place of the live ones, in one transaction."""
    key = [projection.name, projection.version]
    with connection.transaction():
        row = connection.execute(TAKE_AND_WAIT, key).fetchone()
        assert row is not None  # noqa: S101 - the migration makes it
        while position < (end := reading.head(connection)):
            position = apply_page(connection, projection, position, pages)
        rows = {table.name: counts(connection, table.name) for table in projection.tables}
        for table in projection.tables:
            live, beside = sql.Identifier("public", table.name), sql.Identifier(BESIDE, table.name)
            connection.execute(sql.SQL("drop table {}").format(live))
            connection.execute(sql.SQL("alter table {} set schema public").format(beside))
        connection.execute(MOVE, [end, *key, row[0]])
    tell(connection, projection)
    return Rebuilt(end, rows)


def counts(connection: Connection[TupleRow], table: str) -> tuple[int, int]:
    """Return how many rows the live table and the new one have."""
    count = sql.SQL("select (select count(*) from {}), (select count(*) from {})").format(
        sql.Identifier("public", table), sql.Identifier(BESIDE, table)
    )
    row = connection.execute(count).fetchone()
    assert row is not None  # noqa: S101 - a count is a row
    return row[0], row[1]
