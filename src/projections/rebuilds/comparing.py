"""Comparing a view with what a rebuild made of it: rows, checksums and the first differences."""

import re
from collections.abc import Sequence
from uuid import UUID

import msgspec
from psycopg import Connection, sql
from psycopg.rows import TupleRow
from sqlalchemy import Table

from domain.personal import FORGOTTEN
from event_store.privacy.forgotten import forgotten_among
from projections.projection import Projection, key_columns
from projections.sides import SCHEMAS, Past, Side

MOST_DIFFERENCES = 10
ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")

# Adding up hashes of rows asks for no order, so it is one pass over the table.
SUMMED = """
select count(*), coalesce(sum(hashtextextended(t::text, 0)::numeric), 0)::text from {table} t
"""

DIFFERENCES = """
select {key}, row_to_json(l)::text, row_to_json(n)::text
  from {live} l
  full join {new} n on {same_key}
 where l is distinct from n
 order by 1 limit {most}
"""


class Difference(msgspec.Struct, frozen=True):
    """A row that is not the same; None: there is none. Rows are shown as JSON.

    Of somebody who is forgotten that stands in the place of both.
    """

    key: str
    live: str | None
    new: str | None


class TableComparison(msgspec.Struct, frozen=True):
    """One table, live and new."""

    table: str
    live_rows: int
    new_rows: int
    live_checksum: str
    new_checksum: str
    differences: list[Difference] = []


class Comparison(msgspec.Struct, frozen=True):
    """All tables of a view at one position of the log."""

    equal: bool
    position: int
    tables: list[TableComparison]


def compare(connection: Connection[TupleRow], projection: Projection, position: int) -> Comparison:
    """Compare the live tables with the new ones, as the present transaction sees both."""
    tables = [compare_table(connection, table) for table in projection.tables]
    equal = all(
        (one.live_rows, one.live_checksum) == (one.new_rows, one.new_checksum) for one in tables
    )
    return Comparison(equal, position, tables)


def counted(
    connection: Connection[TupleRow], projection: Projection
) -> dict[str, tuple[int | None, int]]:
    """Return the numbers of rows of each table, live and new, where they cannot be compared."""
    return {
        str(table.name): (
            rows_in(connection, table, "live"),
            rows_in(connection, table, "building"),
        )
        for table in projection.tables
    }


def rows_in(connection: Connection[TupleRow], table: Table, side: Side) -> int:
    """Return the number of rows of a table."""
    query = sql.SQL("select count(*) from {}").format(named(table, side))
    row = connection.execute(query).fetchone()
    assert row is not None  # noqa: S101 - an aggregate is a row
    return int(row[0])


def compare_table(connection: Connection[TupleRow], table: Table) -> TableComparison:
    """Compare one table."""
    live_rows, live_sum = summed(connection, table, "live")
    new_rows, new_sum = summed(connection, table, "building")
    same = (live_rows, live_sum) == (new_rows, new_sum)
    found = [] if same else differences(connection, table)
    return TableComparison(str(table.name), live_rows, new_rows, live_sum, new_sum, found)


def summed(connection: Connection[TupleRow], table: Table, side: Side) -> tuple[int, str]:
    """Return the number of rows of a table and their checksum."""
    row = connection.execute(sql.SQL(SUMMED).format(table=named(table, side))).fetchone()
    assert row is not None  # noqa: S101 - an aggregate is a row
    return row[0], row[1]


def differences(connection: Connection[TupleRow], table: Table) -> list[Difference]:
    """Return the first rows that are not the same."""
    columns = [sql.Identifier(name) for name in key_columns(table)]
    either = [sql.SQL("coalesce(l.{0}, n.{0})::text").format(one) for one in columns]
    query = sql.SQL(DIFFERENCES).format(
        key=sql.SQL("concat_ws(', ', {})").format(sql.SQL(", ").join(either)),
        live=named(table, "live"),
        new=named(table, "building"),
        same_key=sql.SQL(" and ").join(sql.SQL("l.{0} = n.{0}").format(one) for one in columns),
        most=sql.Literal(MOST_DIFFERENCES),
    )
    found = [Difference(*row) for row in connection.execute(query).fetchall()]
    return without_the_forgotten(connection, found)


def without_the_forgotten(
    connection: Connection[TupleRow], found: Sequence[Difference]
) -> list[Difference]:
    """Return differences that say nothing of people who are forgotten.

    The log has forgotten them at once; a live view that stands still has not yet.
    """
    gone = forgotten_among(connection, set().union(*map(ids_in, found)))
    return [
        Difference(one.key, FORGOTTEN, FORGOTTEN) if ids_in(one) & gone else one for one in found
    ]


def ids_in(found: Difference) -> frozenset[UUID]:
    """Return the ids in a difference, some of which may be people's."""
    return frozenset(map(UUID, ID.findall(f"{found.key} {found.live} {found.new}")))


def named(table: Table, side: Side | Past) -> sql.Identifier:
    """Return the name of a table of a side."""
    return sql.Identifier(SCHEMAS[side], table.name)
