"""The statements of lists and single rows: one each, compiled once for a choice of its parts."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy import (
    CTE,
    ColumnElement,
    FromClause,
    Integer,
    ScalarSelect,
    Select,
    Table,
    Text,
    and_,
    any_,
    bindparam,
    cast,
    column,
    func,
    literal_column,
    select,
    true,
    tuple_,
)
from sqlalchemy import table as lightweight_table
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, psycopg

from projections.listing import Listing
from projections.projection import Projection

DIALECT = psycopg.dialect()  # type: ignore[no-untyped-call]  # SQLAlchemy types its dialects loosely
CHECKPOINTS = lightweight_table(
    "projection_checkpoints",
    column("name"),
    column("version"),
    column("side"),
    column("position"),
)
VERSIONS = lightweight_table(
    "projection_versions", column("name"), column("version"), column("serves")
)
# Rows are counted one by one up to here: twice a year's orders of a retailer with 4,000 customers.
COUNTED = 50_000

Sql = tuple[str, dict[str, Any]]


class Shape(NamedTuple):
    """What of a list's statement depends on the request."""

    filters: tuple[str, ...]
    sort_by: str
    descending: bool
    from_place: bool = False
    first: int = 0
    """How many rows a first page has, where its statement has one plan for whatever values."""


@lru_cache(maxsize=1_000)
def page_sql(listing: Listing, shape: Shape) -> Sql:
    """Return the statement of a page with its total and position."""
    source = source_of(listing, shape)
    page = ordered(source, shape)
    if not shape.first:
        page = page.offset(bindparam("page_offset", type_=Integer))
    totals = select(
        select(func.count()).select_from(counted(source)).scalar_subquery().label("list_total"),
        position_of(listing.projection).label("list_position"),
    ).subquery("totals")
    return compiled(around(totals, shown(source, page), source, shape))


@lru_cache(maxsize=1_000)
def stretch_sql(listing: Listing, shape: Shape) -> Sql:
    """Return the statement of a part of a list that begins at a place."""
    source = source_of(listing, shape)
    part = ordered(source, shape)
    if shape.from_place:
        place = [bindparam(f"place_{n}", type_=one.type) for n, one in enumerate(source.order)]
        here, there = tuple_(*source.order), tuple_(*place)
        part = part.where(here < there if shape.descending else here > there)
    seen = select(position_of(listing.projection).label("list_position")).subquery("totals")
    return compiled(around(seen, shown(source, part), source, shape))


@lru_cache(maxsize=1_000)
def expected_sql(listing: Listing, filters: tuple[str, ...]) -> Sql:
    """Return the statement that asks the planner how many rows meet some filters."""
    source = source_of(listing, Shape(filters, listing.default_sort, descending=False))
    sql, constants = compiled(source.matching)
    return f"explain (format json) {sql}", constants


class Source(NamedTuple):
    """Where a list's rows are: what is picked from, those that match, their order, its ties."""

    origin: FromClause
    matching: Select[Any]
    order: Sequence[ColumnElement[Any]]
    ties: int
    table: Table | None


def source_of(listing: Listing, shape: Shape) -> Source:
    """Return where the rows of a list are, for a choice of filters and order."""
    conditions = [listing.filters[name][0] for name in shape.filters]
    names = [*listing.sorts[shape.sort_by], *listing.tie]
    if not isinstance(listing.rows, Table):
        base = listing.rows(conditions).cte("base")
        reported: list[ColumnElement[Any]] = [base.c[name] for name in names]
        return Source(base, select(*base.c), reported, len(listing.tie), None)
    columns: dict[str, ColumnElement[Any]] = {
        **dict(listing.rows.columns.items()),
        **(listing.expressions or {}),
    }
    order = [columns[name] for name in names]
    if listing.selective & set(shape.filters):
        # No index has this: the few rows are found by the filter and sorted. Planners overrate
        # how soon a walk in the order of an index meets them.
        order[0] = func.coalesce(order[0], order[0], type_=order[0].type)
    keys = select(*listing.rows.primary_key).where(*conditions)
    return Source(listing.rows, keys, order, len(listing.tie), listing.rows)


@lru_cache(maxsize=1_000)
def place_types(listing: Listing, sort_by: str) -> tuple[type[Any], ...]:
    """Return the types of what a place in a list consists of."""
    source = source_of(listing, Shape((), sort_by, descending=False))
    return tuple(one.type.python_type for one in source.order)


def ordered(source: Source, shape: Shape) -> Select[Any]:
    """Return the rows in order, as many as wanted: of a table only the keys."""
    labels = [one.label(f"by_{n}") for n, one in enumerate(source.order[: -source.ties])]
    order = [one.desc() if shape.descending else one.asc() for one in source.order]
    chosen = source.matching.add_columns(*labels).order_by(*order)
    # Written out where the plan is kept: one for any number of rows at all is for a tenth of them.
    return chosen.limit(
        literal_column(str(shape.first)) if shape.first else bindparam("page_limit", type_=Integer)
    )


def counted(source: Source) -> FromClause:
    """Return what is counted: all rows of a report, which are there; else up to `COUNTED`."""
    if isinstance(source.origin, CTE):
        return source.origin
    return source.matching.limit(COUNTED + 1).subquery("counted")


def shown(source: Source, page: Select[Any]) -> FromClause:
    """Return whole rows for what was picked: what was passed over on the way is never made."""
    picked = page.subquery("picked")
    if source.table is None:
        return select(*picked.c, true().label("list_row")).subquery("page")
    key = [one.name for one in source.table.primary_key]
    same = and_(*(source.table.c[name] == picked.c[name] for name in key))
    places = [one for one in picked.c if one.name not in key]
    rows = select(*shown_columns(source.table), *places, true().label("list_row"))
    return rows.select_from(picked.join(source.table, same)).subquery("page")


def around(totals: FromClause, page: FromClause, source: Source, shape: Shape) -> Select[Any]:
    """Return the page's rows in order beside the totals, which are there without any row too."""
    names = [f"by_{n}" for n in range(len(source.order) - source.ties)]
    names += [one.name for one in source.order[-source.ties :]]
    order = [page.c[name].desc() if shape.descending else page.c[name].asc() for name in names]
    return select(totals, page).select_from(totals.outerjoin(page, true())).order_by(*order)


@lru_cache
def rows_sql(projection: Projection, table: Table) -> Sql:
    """Return the statement of some rows of a table whose primary key is one column, by `keys`."""
    (key,) = table.primary_key
    found = (
        select(*shown_columns(table), true().label("list_row"))
        .where(key == any_(bindparam("keys", type_=ARRAY(key.type))))
        .subquery("found")
    )
    seen = select(position_of(projection).label("list_position")).subquery("seen")
    return compiled(select(seen, found).select_from(seen.outerjoin(found, true())))


def shown_columns(table: Table) -> list[ColumnElement[Any]]:
    """Return a table's columns; those of JSON as text, for views to decode into their types.

    Arrays are left out: they are there to be searched.
    """
    return [
        cast(column, Text).label(column.name) if isinstance(column.type, JSONB) else column
        for column in table.columns
        if not isinstance(column.type, ARRAY)
    ]


def position_of(projection: Projection) -> ScalarSelect[Any]:
    """Return the expression of how far what is read of a projection has come: all of it."""
    serving = and_(
        VERSIONS.c.name == CHECKPOINTS.c.name, VERSIONS.c.serves == CHECKPOINTS.c.version
    )
    return (
        select(func.min(CHECKPOINTS.c.position))
        .select_from(CHECKPOINTS.join(VERSIONS, serving))
        .where(
            VERSIONS.c.name == projection.name,
            VERSIONS.c.version == projection.version,
            CHECKPOINTS.c.side == "live",
        )
        .scalar_subquery()
    )


def compiled(statement: Select[Any]) -> Sql:
    """Return a statement's text for psycopg and the values of its constants."""
    made = statement.compile(dialect=DIALECT)
    return str(made), dict(made.params)


def placed(values: Sequence[Any]) -> dict[str, Any]:
    """Return the parameters of a place in a list."""
    return {f"place_{number}": value for number, value in enumerate(values)}
