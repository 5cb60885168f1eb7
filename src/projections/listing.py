"""Lists: whitelisted filters and sorts over a view, one statement, compiled once a shape."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import msgspec
from psycopg import AsyncConnection
from psycopg.rows import TupleRow, dict_row
from sqlalchemy import (
    ColumnElement,
    Integer,
    ScalarSelect,
    Select,
    Table,
    Text,
    bindparam,
    cast,
    column,
    func,
    select,
    true,
)
from sqlalchemy import table as lightweight_table
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, psycopg

from projections.projection import Key, Projection, Row

DIALECT = psycopg.dialect()  # type: ignore[no-untyped-call]  # SQLAlchemy types its dialects loosely
CHECKPOINTS = lightweight_table(
    "projection_checkpoints", column("name"), column("version"), column("position")
)

# Rows are counted one by one up to here: half as many again as a year's orders of a retailer's.
COUNTED = 50_000

Sql = tuple[str, dict[str, Any]]
Filter = tuple[ColumnElement[bool], Callable[[Any], Any]]


def plain_select(table: Table) -> Callable[[Sequence[ColumnElement[bool]]], Select[Any]]:
    """Return the rows of one table as they are, those that meet all the conditions."""
    return lambda conditions: select(*shown_columns(table)).where(*conditions)


def shown_columns(table: Table) -> list[ColumnElement[Any]]:
    """Return a table's columns; those of JSON as text, for views to decode into their types.

    Arrays are left out: they are there to be searched.
    """
    return [
        cast(column, Text).label(column.name) if isinstance(column.type, JSONB) else column
        for column in table.columns
        if not isinstance(column.type, ARRAY)
    ]


@dataclass(frozen=True, eq=False)
class Listing:
    """A list of a view: what it may be filtered and sorted by, under the names that clients use.

    A filter is a condition with a parameter of the filter's name, and what turns the client's
    value into the parameter. `select` makes the rows to list; `whole` says that they are computed
    all together (a report) rather than picked one by one.
    """

    projection: Projection
    select: Callable[[Sequence[ColumnElement[bool]]], Select[Any]]
    filters: Mapping[str, Filter]
    sorts: Mapping[str, str]
    tie: Sequence[str]
    default_sort: str
    default_descending: bool = True
    whole: bool = False


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """Which part of a list is asked for. Names are those of the listing."""

    filters: dict[str, Any] = {}
    sort_by: str
    descending: bool
    limit: int
    offset: int


class Page(msgspec.Struct, frozen=True):
    """Rows, how many there are in all, counted or not, and the position that the view had seen."""

    rows: list[Row]
    total: int
    position: int
    counted: bool = True


def as_is(value: Any) -> Any:
    """Pass a client's value on as the parameter."""
    return value


def alone(value: Any) -> list[Any]:
    """Return the array that holds just this value."""
    return [value]


def containing(text: str) -> str:
    """Return the pattern of `like` that finds a text anywhere, taking it literally."""
    literal = text.replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_")
    return f"%{literal}%"


async def list_rows(
    connection: AsyncConnection[TupleRow], listing: Listing, request: Request
) -> Page:
    """Return a page of a list, its total and its position, all of one moment."""
    shape = (tuple(sorted(request.filters)), request.sort_by, request.descending)
    values = {name: listing.filters[name][1](value) for name, value in request.filters.items()}
    values |= {"page_limit": request.limit, "page_offset": request.offset}
    async with connection.cursor(row_factory=dict_row) as cursor:
        sql, constants = list_sql(listing, *shape)
        await cursor.execute(sql, constants | values, prepare=True)
        rows = await cursor.fetchall()
    total, position = rows[0]["list_total"], rows[0]["list_position"]
    counted = total <= COUNTED or listing.whole
    if not counted:
        total = max(total, await estimate(connection, listing, shape[0], values))
    return Page([row for row in rows if row["list_row"]], total, position, counted)


async def estimate(
    connection: AsyncConnection[TupleRow],
    listing: Listing,
    filters: tuple[str, ...],
    values: dict[str, Any],
) -> int:
    """Return how many rows the planner expects: it samples the tables and reads no row."""
    sql, constants = rows_sql(listing, filters)
    cursor = await connection.execute(sql, constants | values)
    row = await cursor.fetchone()
    assert row is not None  # noqa: S101 - a plan is a row
    return int(row[0][0]["Plan"]["Plan Rows"])


async def one_row(
    connection: AsyncConnection[TupleRow], projection: Projection, table: Table, key: Key
) -> tuple[Row | None, int]:
    """Return the row with a primary key, if there is one, and the position of the view."""
    async with connection.cursor(row_factory=dict_row) as cursor:
        values = {f"key_{number}": part for number, part in enumerate(key)}
        sql, constants = row_sql(projection, table)
        await cursor.execute(sql, constants | values, prepare=True)
        row = await cursor.fetchone()
    assert row is not None  # noqa: S101 - the checkpoint is always there
    return (row if row["list_row"] else None), row["list_position"]


@lru_cache(maxsize=1_000)
def list_sql(listing: Listing, filters: tuple[str, ...], sort_by: str, descending: bool) -> Sql:  # noqa: FBT001 - part of the shape
    """Return the statement of `list_rows` for one choice of filters and order."""
    chosen = listing.select([listing.filters[name][0] for name in filters])
    base = chosen.cte("base") if listing.whole else chosen.subquery("base")
    by = base.c[listing.sorts[sort_by]]
    order = [by.desc() if descending else by.asc(), *(base.c[name].asc() for name in listing.tie)]
    if descending:
        order[1:] = [base.c[name].desc() for name in listing.tie]
    page = (
        select(*base.c, true().label("list_row"))
        .order_by(*order)
        .limit(bindparam("page_limit", type_=Integer))
        .offset(bindparam("page_offset", type_=Integer))
        .subquery("page")
    )
    matching = (
        base if listing.whole else select(base.c[listing.tie[0]]).limit(COUNTED + 1).subquery()
    )
    totals = select(
        select(func.count()).select_from(matching).scalar_subquery().label("list_total"),
        position_of(listing.projection).label("list_position"),
    ).subquery("totals")
    return compiled(select(totals, page).select_from(totals.outerjoin(page, true())))


@lru_cache(maxsize=1_000)
def rows_sql(listing: Listing, filters: tuple[str, ...]) -> Sql:
    """Return the statement of `estimate` for one choice of filters."""
    sql, constants = compiled(listing.select([listing.filters[name][0] for name in filters]))
    return f"explain (format json) {sql}", constants


@lru_cache
def row_sql(projection: Projection, table: Table) -> Sql:
    """Return the statement of `one_row`."""
    conditions = [
        part == bindparam(f"key_{number}") for number, part in enumerate(table.primary_key)
    ]
    found = (
        select(*shown_columns(table), true().label("list_row")).where(*conditions).subquery("found")
    )
    seen = select(position_of(projection).label("list_position")).subquery("seen")
    return compiled(select(seen, found).select_from(seen.outerjoin(found, true())))


def position_of(projection: Projection) -> ScalarSelect[Any]:
    """Return the expression of how far a projection has come."""
    return (
        select(CHECKPOINTS.c.position)
        .where(
            CHECKPOINTS.c.name == projection.name,
            CHECKPOINTS.c.version == projection.version,
        )
        .scalar_subquery()
    )


def compiled(statement: Select[Any]) -> Sql:
    """Return a statement's text for psycopg and the values of its constants."""
    made = statement.compile(dialect=DIALECT)
    return str(made), dict(made.params)
