"""Rows into a table by COPY: the text format, made column by column."""

import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any

import msgspec
from psycopg import Connection
from psycopg.rows import TupleRow
from sqlalchemy import Column, Table
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.types import Date, DateTime, Integer, Numeric, Text, Uuid

from projections.projection import Row
from projections.sides import SCHEMAS, Side

ROWS_A_WRITE = 500
PLAIN = (Integer, Numeric, Date, DateTime)
SPECIAL = re.compile(r"[\\\n\r\t]")
ESCAPES = {"\\": r"\\", "\n": r"\n", "\r": r"\r", "\t": r"\t"}

Write = Callable[[Any], str]


def copy_rows(
    connection: Connection[TupleRow], table: Table, rows: Iterable[Row], side: Side
) -> None:
    """Add rows to a table of a side; none of them is there yet."""
    writers = writers_of(table)
    columns = ", ".join(name for name, _ in writers)
    into = f"copy {SCHEMAS[side]}.{table.name} ({columns}) from stdin"
    with connection.cursor() as cursor, cursor.copy(into.encode()) as copy:
        lines: list[str] = []
        for row in rows:
            lines.append("\t".join([write(row[name]) for name, write in writers]))
            if len(lines) == ROWS_A_WRITE:
                copy.write("\n".join([*lines, ""]))
                lines.clear()
        if lines:
            copy.write("\n".join([*lines, ""]))


@lru_cache
def writers_of(table: Table) -> list[tuple[str, Write]]:
    """Return how each column of a table is written."""
    return [(column.name, writer_of(column)) for column in table.columns]


def writer_of(column: Column[Any]) -> Write:
    """Return how a value of a column is written."""
    if isinstance(column.type, JSONB):
        encode = msgspec.json.Encoder().encode
        return lambda value: r"\N" if value is None else escaped(encode(value).decode())
    if isinstance(column.type, ARRAY):
        return lambda value: r"\N" if value is None else "{" + ",".join(map(str, value)) + "}"
    if isinstance(column.type, Uuid):  # Postgres needs no hyphens, and they cost twice the time
        return lambda value: r"\N" if value is None else f"{value.int:032x}"
    if isinstance(column.type, PLAIN):
        return lambda value: r"\N" if value is None else str(value)
    assert isinstance(column.type, Text), column.type  # noqa: S101 - a new kind of column needs a line
    return lambda value: r"\N" if value is None else escaped(value)


def escaped(text: str) -> str:
    """Write a text so that COPY reads it as it was."""
    return SPECIAL.sub(lambda found: ESCAPES[found[0]], text) if SPECIAL.search(text) else text
