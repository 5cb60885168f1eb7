"""What a release finds when it starts: views that it knows in another version, or not at all.

A view whose version is new is rebuilt beside the older one. Until that is done, its tables' names
show what the older version's tables have: columns that are new are empty there.
"""

from psycopg import Connection, sql
from psycopg.rows import TupleRow
from sqlalchemy import Column, Table
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.types import Boolean, Date, DateTime, Integer, Numeric, Text, Uuid

from projections.projection import PARTITIONS, Projection
from projections.rebuilds.jobs import start
from projections.rebuilds.new_tables import WAITING, move_tables

KNOWN = "select serves from projection_versions where name = %s and version = %s"

PREVIOUS = """
select max(version) from projection_checkpoints where name = %s and side = 'live'
"""

NOTE = """
insert into projection_versions (name, version, serves, tables) values (%s, %s, %s, %s)
    on conflict (name, version) do update set tables = excluded.tables
 where projection_versions.tables is distinct from excluded.tables
"""

CHECKPOINTS = """
insert into projection_checkpoints (name, version, side, partition)
select %s, %s, 'live', n from generate_series(0, %s - 1) n
"""

COLUMNS = """
select column_name from information_schema.columns
 where table_schema = 'public' and table_name = %s
"""

# What a column that is new shows until the view has been rebuilt, where it may not be null.
EMPTY: tuple[tuple[type, str], ...] = (
    (JSONB, "'{}'::jsonb"),
    (ARRAY, "'{}'"),
    (Boolean, "false"),
    (Integer, "0"),
    (Numeric, "0"),
    (Text, "''"),
    (DateTime, "'epoch'::timestamptz"),
    (Date, "'epoch'::date"),
    (Uuid, "'00000000-0000-0000-0000-000000000000'::uuid"),
)

NULLABLE = """
select is_nullable = 'YES', format_type(a.atttypid, a.atttypmod)
  from information_schema.columns c
  join pg_attribute a
    on a.attrelid = to_regclass(format('%%I.%%I', c.table_schema, c.table_name))
   and a.attname = c.column_name
 where c.table_schema = %s and c.table_name = %s and c.column_name = %s
"""


def settle(connection: Connection[TupleRow], projections: list[Projection]) -> list[str]:
    """Begin to post what is new, and to rebuild what has changed; return the names of the latter.

    It may be called at each start, by one process at a time.
    """
    return [one.name for one in projections if settle_one(connection, one)]


def settle_one(connection: Connection[TupleRow], projection: Projection) -> bool:
    """Do it for one view; True if a rebuild was begun."""
    name, version = projection.name, projection.version
    names = [str(table.name) for table in projection.tables]
    with connection.transaction():
        known = connection.execute(KNOWN, [name, version]).fetchone()
        row = connection.execute(PREVIOUS, [name]).fetchone()
        previous = row[0] if row else None
        if known is not None or previous is None:
            connection.execute(NOTE, [name, version, version, names])
            if known is None:
                connection.execute(CHECKPOINTS, [name, version, PARTITIONS])
            return False
        connection.execute(NOTE, [name, version, previous, names])
        move_tables(connection, names, "public", WAITING)
        for table in projection.tables:
            show_previous(connection, table, version, previous)
        start(connection, projection)
        return True


def show_previous(
    connection: Connection[TupleRow], table: Table, version: int, previous: int
) -> None:
    """Let the name of a table that is to be built show the table of the version before."""
    older = table.name.removesuffix(f"_v{version}") + f"_v{previous}"
    there = {name for (name,) in connection.execute(COLUMNS, [older]).fetchall()}
    shown = [column_of(connection, table, column, there) for column in table.columns]
    source = (
        sql.SQL(" from {}").format(sql.Identifier("public", older))
        if there
        else sql.SQL(" where false")
    )
    create = sql.SQL("create view {} as select {}{}")
    name = sql.Identifier("public", table.name)
    connection.execute(create.format(name, sql.SQL(", ").join(shown), source))


def column_of(
    connection: Connection[TupleRow], table: Table, column: Column[object], there: set[str]
) -> sql.Composed:
    """Return the expression of a column in terms of the older table."""
    row = connection.execute(NULLABLE, [WAITING, table.name, column.name]).fetchone()
    assert row is not None  # noqa: S101 - a migration made the table
    nullable, kind = row
    name = sql.Identifier(column.name)
    if column.name in there:
        return sql.SQL("{}::{} as {}").format(name, sql.SQL(kind), name)
    empty = "null" if nullable else next(e for t, e in EMPTY if isinstance(column.type, t))
    return sql.SQL("{}::{} as {}").format(sql.SQL(empty), sql.SQL(kind), name)
