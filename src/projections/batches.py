"""Rows for many askers at once, one statement each: by their ids, or the orders of many users."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import TupleRow
from sqlalchemy import Integer, Table, Uuid, bindparam, column, func, select, true
from sqlalchemy.dialects.postgresql import ARRAY

from projections import orders
from projections.list_sql import Sql, compiled, position_of, shown_columns
from projections.projection import Projection, Row
from projections.queries import fetched

IDS = bindparam("ids", type_=ARRAY(Uuid))


async def rows_by_id(
    connection: AsyncConnection[TupleRow],
    projection: Projection,
    table: Table,
    ids: Iterable[UUID],
) -> tuple[dict[UUID, Row], int]:
    """Return the rows with some ids, as far as there are any, and the position of the view."""
    rows = await fetched(connection, rows_sql(projection, table), {"ids": list(ids)})
    return {row["id"]: row for row in rows if row["list_row"]}, rows[0]["list_position"]


async def orders_by_user(
    connection: AsyncConnection[TupleRow], users: Sequence[UUID], status: str | None, limit: int
) -> tuple[Mapping[UUID, list[Row]], int]:
    """Return the newest orders of each user, at most `limit`, and the position of the view."""
    values = {"ids": list(users), "each": limit, "status": status}
    sql = orders_sql(with_status=status is not None)
    rows = await fetched(connection, sql, values)
    found: defaultdict[UUID, list[Row]] = defaultdict(list)
    for row in rows:
        if row["list_row"]:
            found[row["user_id"]].append(row)
    return found, rows[0]["list_position"]


@lru_cache
def rows_sql(projection: Projection, table: Table) -> Sql:
    """Return the statement of `rows_by_id`."""
    found = (
        select(*shown_columns(table), true().label("list_row"))
        .where(table.c.id == func.any(IDS))
        .subquery("found")
    )
    seen = select(position_of(projection).label("list_position")).subquery("seen")
    return compiled(select(seen, found).select_from(seen.outerjoin(found, true())))


@lru_cache
def orders_sql(*, with_status: bool) -> Sql:
    """Return the statement of `orders_by_user`: an index gives each user's keys, newest first."""
    table = orders.ORDERS
    wanted = func.unnest(IDS).table_valued(column("id", Uuid), name="wanted").render_derived()
    keys = select(table.c.id).where(table.c.user_id == wanted.c.id)
    if with_status:
        keys = keys.where(table.c.status == bindparam("status"))
    newest = (
        keys.order_by(table.c.placed_at.desc(), table.c.id.desc())
        .limit(bindparam("each", type_=Integer))
        .lateral("newest")
    )
    shown = table.alias("shown")
    columns: list[Any] = [
        one.label(one.name)
        for one in shown_columns(shown)  # type: ignore[arg-type]  # an alias has columns too
    ]
    found = (
        select(*columns, shown.c.placed_at.label("by_0"), true().label("list_row"))
        .select_from(wanted.join(newest, true()).join(shown, shown.c.id == newest.c.id))
        .subquery("found")
    )
    seen = select(position_of(orders.PROJECTION).label("list_position")).subquery("seen")
    return compiled(
        select(seen, found)
        .select_from(seen.outerjoin(found, true()))
        .order_by(found.c.placed_at.desc(), found.c.id.desc())
    )
