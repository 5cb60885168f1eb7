"""Questions to the views, each one statement of one moment: a page, a stretch of a list, a row."""

from collections.abc import Sequence
from typing import Any

from psycopg import AsyncConnection
from psycopg.rows import TupleRow, dict_row
from sqlalchemy import Table

from projections.list_sql import (
    COUNTED,
    Shape,
    Sql,
    expected_sql,
    page_sql,
    placed,
    rows_sql,
    stretch_sql,
)
from projections.listing import Listing, Page, Part, Request, Stretch, has_one_plan, values_of
from projections.projection import Projection, Row, key_columns


async def list_rows(
    connection: AsyncConnection[TupleRow], listing: Listing, request: Request
) -> Page:
    """Return a page of a list, its total and its position, all of one moment."""
    first = request.limit if has_one_plan(listing, request) else 0
    filters = tuple(sorted(request.filters))
    shape = Shape(filters, request.sort_by, request.descending, first=first)
    values = values_of(listing, request.filters)
    limits = {"page_limit": request.limit, "page_offset": request.offset}
    rows = await fetched(connection, page_sql(listing, shape), values | limits)
    total, position = rows[0]["list_total"], rows[0]["list_position"]
    counted = total <= COUNTED or not isinstance(listing.rows, Table)
    if not counted:
        total = max(total, await expected(connection, listing, shape, values))
    return Page([row for row in rows if row["list_row"]], total, position, counted)


async def list_stretch(
    connection: AsyncConnection[TupleRow], listing: Listing, asked: Stretch
) -> Part:
    """Return a part of a list after a place in it, or before it, and its position."""
    descending = asked.descending != asked.backwards
    shape = Shape(tuple(sorted(asked.filters)), asked.sort_by, descending, asked.place is not None)
    values = values_of(listing, asked.filters) | placed(asked.place or ())
    one_more = {"page_limit": asked.limit + 1}
    rows = await fetched(connection, stretch_sql(listing, shape), values | one_more)
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


async def rows_by_key(
    connection: AsyncConnection[TupleRow], projection: Projection, table: Table, keys: Sequence[Any]
) -> tuple[dict[Any, Row], int]:
    """Return the rows with these primary keys, by key, and the position of the view."""
    rows = await fetched(connection, rows_sql(projection, table), {"keys": list(keys)})
    (name,) = key_columns(table)
    return {row[name]: row for row in rows if row["list_row"]}, rows[0]["list_position"]


async def fetched(
    connection: AsyncConnection[TupleRow], statement: Sql, values: dict[str, Any]
) -> list[Row]:
    """Return all rows of a statement; it has been made such that there is at least one."""
    sql, constants = statement
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(sql, constants | values, prepare=True)
        return await cursor.fetchall()
