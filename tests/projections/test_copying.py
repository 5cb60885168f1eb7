"""COPY writes the rows that an INSERT writes, whatever is in them."""

from datetime import UTC, date, datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Column,
    Date,
    DateTime,
    Integer,
    MetaData,
    Numeric,
    Table,
    Text,
    Uuid,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from event_store.connections import connect
from projections.amounts import MoneyView
from projections.posting.copying import copy_rows
from projections.posting.row_sql import write_rows
from projections.projection import Row
from tests.domain.given import ALICE, BOB

KINDS = Table(
    "kinds",
    MetaData(),
    Column("id", Uuid, primary_key=True),
    Column("text", Text),
    Column("json", JSONB),
    Column("number", Numeric),
    Column("count", Integer),
    Column("many", BigInteger),
    Column("day", Date),
    Column("moment", DateTime(timezone=True)),
    Column("ids", ARRAY(Uuid)),
)
MADE = """
create table {}.kinds (
    id uuid primary key, text text, json jsonb, number numeric, count integer, many bigint,
    day date, moment timestamptz, ids uuid[]
)
"""
FULL: Row = {
    "id": ALICE,
    "text": 'tab\tline\nreturn\rback\\slash \\N null "quoted" {brace} [bracket] \u2028 \U0001f3ee',
    "json": {"money": MoneyView("1.50", "GBP"), "text": 'a\tb\nc\\d "null" \\N', "none": None},
    "number": Decimal("-12345678901234567890.000100"),
    "count": -1,
    "many": 2**63 - 1,
    "day": date(1, 1, 1),
    "moment": datetime(2026, 11, 22, 23, 59, 59, 999_999, UTC),
    "ids": [ALICE, BOB],
}
EMPTY: Row = dict.fromkeys(FULL) | {"id": BOB}
ODD: Row = EMPTY | {"id": UUID(int=1), "text": "", "json": [], "ids": [], "number": Decimal("1E+3")}
NOTHING_BUT_WORDS: Row = EMPTY | {"id": UUID(int=2), "text": "null", "json": "null"}


def test_copied_rows_are_as_inserted_ones(database_url: str) -> None:
    rows = [FULL, EMPTY, ODD, NOTHING_BUT_WORDS]
    with connect(database_url, name="test", role="postgres") as connection:
        for schema in ("public", "building"):
            connection.execute(MADE.format(schema).encode())
        write_rows(connection, KINDS, rows, "live")
        copy_rows(connection, KINDS, rows, "building")
        inserted, copied = (
            connection.execute(query).fetchall()
            for query in (
                "select * from public.kinds order by id",
                "select * from building.kinds order by id",
            )
        )
    assert copied == inserted
    assert len(copied) == len(rows)


def test_more_rows_than_are_written_at_once_are_copied(database_url: str) -> None:
    rows = [EMPTY | {"id": UUID(int=n), "count": n} for n in range(5_000)]
    with connect(database_url, name="test", role="postgres") as connection:
        connection.execute(MADE.format("building").encode())
        copy_rows(connection, KINDS, rows, "building")
        found = connection.execute("select count(*), sum(count) from building.kinds").fetchone()
    assert found == (5_000, sum(range(5_000)))
