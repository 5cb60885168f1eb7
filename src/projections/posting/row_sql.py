"""Rows of any read table, many at once in one statement: as JSON, which Postgres takes apart."""

from collections.abc import Iterable
from functools import lru_cache

import msgspec
from psycopg import Connection
from psycopg.rows import TupleRow, dict_row
from sqlalchemy import Table

from projections.projection import Key, Row, key_columns
from projections.sides import SCHEMAS, Past, Side


def read_rows(
    connection: Connection[TupleRow], table: Table, keys: Iterable[Key], side: Side | Past = "live"
) -> list[Row]:
    """Return the rows with these primary keys, as far as they exist."""
    names = key_columns(table)
    wanted = [dict(zip(names, key, strict=True)) for key in keys]
    if not wanted:
        return []
    with connection.cursor(row_factory=dict_row) as cursor:
        cursor.execute(
            select_sql(table, SCHEMAS[side]), [msgspec.json.encode(wanted).decode()], prepare=True
        )
        return cursor.fetchall()


def write_rows(
    connection: Connection[TupleRow], table: Table, rows: list[Row], side: Side | Past = "live"
) -> None:
    """Insert rows, or replace those with the same primary key."""
    if rows:
        values = [msgspec.json.encode(rows).decode()]
        connection.execute(upsert_sql(table, SCHEMAS[side]), values, prepare=True)


@lru_cache
def select_sql(table: Table, schema: str) -> str:
    """Return the statement of `read_rows`."""
    listed = ", ".join(f"t.{column.name}" for column in table.columns)
    key = ", ".join(key_columns(table))
    return (
        f"select {listed} "  # noqa: S608 - names of our own tables
        f"from json_populate_recordset(null::{schema}.{table.name}, %s::json) wanted "
        f"join {schema}.{table.name} t using ({key})"
    )


@lru_cache
def upsert_sql(table: Table, schema: str) -> str:
    """Return the statement of `write_rows`."""
    names = [column.name for column in table.columns]
    keys = key_columns(table)
    changes = ", ".join(f"{name} = excluded.{name}" for name in names if name not in keys)
    listed = ", ".join(names)
    return (
        f"insert into {schema}.{table.name} ({listed}) select {listed} "  # noqa: S608 - names of our own tables
        f"from json_populate_recordset(null::{schema}.{table.name}, %s::json) "
        f"on conflict ({', '.join(keys)}) do update set {changes}"
    )
