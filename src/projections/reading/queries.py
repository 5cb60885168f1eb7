"""Questions to the views, each one statement of one moment: a page, a stretch of a list, a row."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from psycopg import AsyncConnection
from psycopg.rows import TupleRow, dict_row
from sqlalchemy import Table

from projections.listing import Listing, Page, Part, Request, Stretch, has_one_plan, values_of
from projections.projection import Projection, Row, key_columns
from projections.reading.list_sql import (
    COUNTED,
    Shape,
    Sql,
    expected_sql,
    page_sql,
    placed,
    rows_sql,
    stretch_sql,
)
from projections.reading.totals import Totals


async def list_rows(
    connection: AsyncConnection[TupleRow],
    listing: Listing,
    request: Request,
    totals: Totals | None = None,
) -> Page:
    """Return a page of a list, its total and its position, all of one moment.

    A total that was estimated lately, of a list too long to be counted, is taken from `totals`.
    """
    known = totals.known(listing, request.filters) if totals else None
    first = request.limit if has_one_plan(listing, request) else 0
    filters = tuple(sorted(request.filters))
    order = request.sort_by, request.descending
    shape = Shape(filters, *order, first=first, counted=known is None)
    values = values_of(listing, request.filters)
    limits = {"page_limit": request.limit, "page_offset": request.offset}
    rows = await fetched(connection, page_sql(listing, shape), values | limits)
    total, position = rows[0]["list_total"], rows[0]["list_position"]
    shown = [row for row in rows if row["list_row"]]
    if total is not None and (total <= COUNTED or not isinstance(listing.rows, Table)):
        return Page(shown, total, position)
    if known is None:
        known = max(total, await expected(connection, listing, shape, values))
        if totals:
            totals.note(listing, request.filters, known)
    return Page(shown, known, position, counted=False)


async def list_stretch(
    connection: AsyncConnection[TupleRow], listing: Listing, asked: Stretch
) -> Part:
    """Return a part of a list after a place in it, or before it, and its position."""
    one_more = asked.limit + 1
    order = asked.sort_by, asked.descending != asked.backwards
    first = one_more if has_one_plan(listing, asked) else 0
    shape = Shape(tuple(sorted(asked.filters)), *order, asked.place is not None, first)
    values = values_of(listing, asked.filters) | placed(asked.place or ())
    limit = {"page_limit": one_more}
    rows = await fetched(connection, stretch_sql(listing, shape), values | limit)
    found = [row for row in rows if row["list_row"]]
    part = found[: asked.limit]
    if asked.backwards:
        part.reverse()
    return Part(part, len(found) > asked.limit, rows[0]["list_position"])


async def expected(
    connection: AsyncConnection[TupleRow], listing: Listing, shape: Shape, values: dict[str, Any]
) -> int:
    """Return how many rows the planner expects: it has sampled the table and reads no row."""
    sql, constants = expected_sql(listing, shape.filters)
    cursor = await connection.execute(sql, constants | values)
    row = await cursor.fetchone()
    assert row is not None  # noqa: S101 - a plan is a row
    return int(row[0][0]["Plan"]["Plan Rows"])


class RowsByKey(NamedTuple):
    """Rows by their keys, the position of the view, and what of all views was parked then."""

    rows: dict[Any, Row]
    position: int
    parked: str


async def rows_by_key(
    connection: AsyncConnection[TupleRow], projection: Projection, table: Table, keys: Sequence[Any]
) -> RowsByKey:
    """Return the rows with these primary keys, all of one moment."""
    rows = await fetched(connection, rows_sql(projection, table), {"keys": list(keys)})
    (name,) = key_columns(table)
    found = {row[name]: row for row in rows if row["list_row"]}
    return RowsByKey(found, rows[0]["list_position"], rows[0]["list_parked"])


async def fetched(
    connection: AsyncConnection[TupleRow], statement: Sql, values: dict[str, Any]
) -> list[Row]:
    """Return all rows of a statement; it has been made such that there is at least one."""
    sql, constants = statement
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(sql, constants | values, prepare=True)
        return await cursor.fetchall()
