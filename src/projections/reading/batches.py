"""Rows for many askers at once, one statement each: by their ids, or the orders of many users."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import TupleRow
from sqlalchemy import (
    DateTime,
    Integer,
    Table,
    Uuid,
    bindparam,
    column,
    func,
    select,
    true,
    tuple_,
)
from sqlalchemy.dialects.postgresql import ARRAY

from projections import orders
from projections.listing import Part
from projections.projection import Projection, Row
from projections.reading.list_sql import Sql, compiled, position_of, shown_columns
from projections.reading.queries import fetched

IDS = bindparam("ids", type_=ARRAY(Uuid))
# Where in the list of whose orders to begin; nulls where each list begins at one of its ends.
WANTED = func.unnest(
    IDS,
    bindparam("times", type_=ARRAY(DateTime(timezone=True))),
    bindparam("places", type_=ARRAY(Uuid)),
)


class Choice(NamedTuple):
    """Which part of each list is wanted: at its end if `backwards`, or at a place in it."""

    status: str | None
    limit: int
    backwards: bool
    from_place: bool


class Wanted(NamedTuple):
    """A user's orders are wanted, perhaps those beyond a place: when one was placed, and its id."""

    user: UUID
    place: tuple[datetime, UUID] | None = None


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
    connection: AsyncConnection[TupleRow], wanted: Sequence[Wanted], choice: Choice
) -> tuple[list[Part], int]:
    """Return parts of the lists of users' orders, newest first, and the position of the view."""
    places = [one.place or (None, None) for one in wanted]
    values = {
        "ids": [one.user for one in wanted],
        "times": [at for at, _ in places],
        "places": [key for _, key in places],
        "each": choice.limit + 1,
        "status": choice.status,
    }
    rows = await fetched(connection, orders_sql(choice._replace(limit=0)), values)
    found: defaultdict[int, list[Row]] = defaultdict(list)
    for row in rows:
        if row["list_row"]:
            found[row["number"]].append(row)
    position = rows[0]["list_position"]
    return [part_of(found[n], choice, position) for n in range(1, len(wanted) + 1)], position


def part_of(rows: list[Row], choice: Choice, position: int) -> Part:
    """Return a part of a list for its rows, of which one may be too many: the farthest."""
    shown = rows[-choice.limit :] if choice.backwards else rows[: choice.limit]
    return Part(shown, len(rows) > choice.limit, position)


async def counts_by_user(
    connection: AsyncConnection[TupleRow], users: Sequence[UUID], status: str
) -> tuple[Mapping[UUID, int], int]:
    """Return how many orders in a state each user has, and the position of the view."""
    rows = await fetched(connection, counts_sql(), {"ids": list(users), "status": status})
    return {row["user_id"]: row["found"] for row in rows}, rows[0]["list_position"]


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
def counts_sql() -> Sql:
    """Return the statement of `counts_by_user`."""
    table = orders.ORDERS
    counted = (
        select(table.c.user_id, func.count().label("found"))
        .where(table.c.user_id == func.any(IDS), table.c.status == bindparam("status"))
        .group_by(table.c.user_id)
        .subquery("counted")
    )
    seen = select(position_of(orders.PROJECTION).label("list_position")).subquery("seen")
    return compiled(select(seen, counted).select_from(seen.outerjoin(counted, true())))


@lru_cache
def orders_sql(choice: Choice) -> Sql:
    """Return the statement of `orders_by_user`: an index gives each user's keys, in order."""
    table = orders.ORDERS
    columns = [
        column("user", Uuid),
        column("placed_at", DateTime(timezone=True)),
        column("place", Uuid),
    ]
    wanted = WANTED.table_valued(*columns, with_ordinality="number", name="wanted").render_derived()
    keys = select(table.c.id).where(table.c.user_id == wanted.c.user)
    if choice.status is not None:
        keys = keys.where(table.c.status == bindparam("status"))
    order = (table.c.placed_at, table.c.id)
    if choice.from_place:
        here, there = tuple_(*order), tuple_(wanted.c.placed_at, wanted.c.place)
        keys = keys.where(here > there if choice.backwards else here < there)
    picked = (
        keys.order_by(*(one.asc() if choice.backwards else one.desc() for one in order))
        .limit(bindparam("each", type_=Integer))
        .lateral("picked")
    )
    shown = table.alias("shown")
    columns_shown: list[Any] = [
        one.label(one.name)
        for one in shown_columns(shown)  # type: ignore[arg-type]  # an alias has columns too
    ]
    found = (
        select(
            *columns_shown,
            shown.c.placed_at.label("by_0"),
            wanted.c.number,
            true().label("list_row"),
        )
        .select_from(wanted.join(picked, true()).join(shown, shown.c.id == picked.c.id))
        .subquery("found")
    )
    seen = select(position_of(orders.PROJECTION).label("list_position")).subquery("seen")
    return compiled(
        select(seen, found)
        .select_from(seen.outerjoin(found, true()))
        .order_by(found.c.placed_at.desc(), found.c.id.desc())
    )
