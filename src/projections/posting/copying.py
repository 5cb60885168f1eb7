"""Rows into a table by COPY: the text format, made a whole column at a time.

A column is encoded as JSON by one call of msgspec and then turned into what COPY reads, so that no
Python runs for each value: a row costs a quarter of what it costs value by value.
"""

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import msgspec
from psycopg import Connection
from psycopg.rows import TupleRow
from sqlalchemy import Column, Table
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.types import Date, DateTime, Integer, Numeric, Text, Uuid

from projections.projection import Row
from projections.sides import SCHEMAS, Past, Side

ROWS_A_WRITE = 2_000
PLAIN = (Integer, Numeric, Date, DateTime, Uuid)
NULL = r"\N"
SPECIAL = re.compile(r"[\\\n\r\t]")
ESCAPES = {"\\": r"\\", "\n": r"\n", "\r": r"\r", "\t": r"\t"}

Values = Sequence[Any]
Write = Callable[[Values], list[str]]

encode_lines = msgspec.json.Encoder().encode_lines


def copy_rows(
    connection: Connection[TupleRow], table: Table, rows: Sequence[Row], side: Side | Past
) -> None:
    """Add rows to a table of a side; none of them is there yet."""
    into = f"copy {SCHEMAS[side]}.{table.name} ({names_of(table)}) from stdin"
    with connection.cursor() as cursor, cursor.copy(into.encode()) as copy:
        for some in range(0, len(rows), ROWS_A_WRITE):
            copy.write(as_text(table, rows[some : some + ROWS_A_WRITE]))


def names_of(table: Table) -> str:
    """Return the columns in the order in which they are written."""
    return ", ".join(name for name, _ in writers_of(table))


def as_text(table: Table, rows: Sequence[Row]) -> str:
    """Write rows as COPY reads them."""
    columns = [
        [NULL] * len(rows) if is_null(values) else write(values)
        for name, write in writers_of(table)
        for values in [[row[name] for row in rows]]
    ]
    return "\n".join([*map("\t".join, zip(*columns, strict=True)), ""])


def is_null(values: Values) -> bool:
    """Tell whether a whole column is null, as many are where nothing has happened yet."""
    return not any(values) and values.count(None) == len(values)


@lru_cache
def writers_of(table: Table) -> list[tuple[str, Write]]:
    """Return how each column of a table is written."""
    return [(column.name, writer_of(column)) for column in table.columns]


def writer_of(column: Column[Any]) -> Write:
    """Return how the values of a column are written."""
    if isinstance(column.type, JSONB):
        return json_values
    if isinstance(column.type, ARRAY):
        assert isinstance(column.type.item_type, PLAIN), column.type  # noqa: S101 - texts need more
        return arrays
    if isinstance(column.type, PLAIN):
        return plain_values
    assert isinstance(column.type, Text), column.type  # noqa: S101 - a new kind of column needs a line
    return texts


def plain_values(values: Values) -> list[str]:
    """Write values of which none has a quote, a backslash or the word null in it."""
    return lines_of(values).replace('"', "").replace("null", NULL).split("\n")


def arrays(values: Values) -> list[str]:
    """Write arrays of such values."""
    lines = lines_of(values).replace('"', "").replace("null", NULL)
    return lines.replace("[", "{").replace("]", "}").split("\n")


def json_values(values: Values) -> list[str]:
    """Write values as JSON, which has no line ends and no tabs in it."""
    lines = lines_of(values).replace("\\", r"\\").split("\n")
    return [NULL if line == "null" else line for line in lines] if None in values else lines


def texts(values: Values) -> list[str]:
    """Write texts, which may have anything in them."""
    return [NULL if value is None else escaped(value) for value in values]


def lines_of(values: Values) -> str:
    """Encode values as JSON, each on a line."""
    return encode_lines(values).decode().removesuffix("\n")


def escaped(text: str) -> str:
    """Write a text so that COPY reads it as it was."""
    return SPECIAL.sub(lambda found: ESCAPES[found[0]], text) if SPECIAL.search(text) else text
