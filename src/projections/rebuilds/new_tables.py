"""The tables of a rebuild: made like the live ones, their indexes last, and put in their place."""

import re
from collections.abc import Iterable

from psycopg import Connection, sql
from psycopg.rows import TupleRow

from projections.projection import Projection
from projections.rebuilds.comparing import named
from projections.sides import PASTS, SCHEMAS, Past, Side

WAITING = "waiting"

MODEL = "select to_regclass(%s) is not null"
INDEXES = """
select x.indexdef
  from pg_indexes x
  join pg_class c on c.relname = x.indexname and c.relnamespace = x.schemaname::regnamespace
  join pg_index i on i.indexrelid = c.oid
 where x.schemaname = %s and x.tablename = %s and not i.indisprimary
 order by x.indexname
"""


def model_of(connection: Connection[TupleRow], table: str) -> str:
    """Return the schema with the table to copy: the next version's, if one waits to be built."""
    row = connection.execute(MODEL, [f"{WAITING}.{table}"]).fetchone()
    return WAITING if row and row[0] else "public"


def make_tables(
    connection: Connection[TupleRow], projection: Projection, side: Side | Past = "building"
) -> list[str]:
    """Make empty tables with a primary key alone; return the statements that make the indexes.

    Those of a past are not logged: they do not survive a crash of the server.
    """
    drop_tables(connection, projection, side)
    unlogged = sql.SQL("unlogged " if side in PASTS.values() else "")
    later: list[str] = []
    for table in projection.tables:
        model = model_of(connection, table.name)
        make = "create {}table {} (like {} including all excluding indexes)"
        of = sql.Identifier(model, table.name)
        connection.execute(sql.SQL(make).format(unlogged, named(table, side), of))
        key = sql.SQL(", ").join(sql.Identifier(column.name) for column in table.primary_key)
        add = "alter table {} add constraint {} primary key ({})"
        constraint = sql.Identifier(f"{table.name}_pkey")
        connection.execute(sql.SQL(add).format(named(table, side), constraint, key))
        found = connection.execute(INDEXES, [model, table.name]).fetchall()
        later += [index_beside(definition, model, SCHEMAS[side]) for (definition,) in found]
    return later


def index_beside(definition: str, model: str, schema: str) -> str:
    """Return a statement that makes an index of the model's table on the new one."""
    beside = re.sub(rf" ON {model}\.", f" ON {schema}.", definition, count=1)
    return re.sub(r"INDEX (\S+) ON", r"INDEX IF NOT EXISTS \1 ON", beside, count=1)


def drop_tables(connection: Connection[TupleRow], projection: Projection, side: Side | Past) -> int:
    """Drop the tables of a side; return how many there were."""
    found = 0
    for table in projection.tables:
        there = connection.execute(
            "select to_regclass(%s) is not null", [f"{SCHEMAS[side]}.{table.name}"]
        ).fetchone()
        found += bool(there and there[0])
        connection.execute(sql.SQL("drop table if exists {}").format(named(table, side)))
    return found


def move_tables(
    connection: Connection[TupleRow], names: Iterable[str], source: str, target: str
) -> None:
    """Move tables from one schema to another; it waits for nobody but who reads them."""
    for name in names:
        move = sql.SQL("alter table {} set schema {}")
        connection.execute(move.format(sql.Identifier(source, name), sql.Identifier(target)))
