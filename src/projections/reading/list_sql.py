"""The statements of lists and single rows: one each, compiled once for a choice of its parts."""

from collections.abc import Iterable, Sequence
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
    case,
    cast,
    column,
    func,
    literal_column,
    not_,
    null,
    select,
    true,
    tuple_,
    union_all,
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
PARKED = lightweight_table("projection_parked", column("position"), column("side"))
# Rows are counted one by one up to here: twice a year's orders of a retailer with 4,000 customers.
COUNTED = 50_000
# So many are found and then sorted, whatever the order.
FEW = 5_000
LIMIT = bindparam("page_limit", type_=Integer)
OFFSET = bindparam("page_offset", type_=Integer)

Sql = tuple[str, dict[str, Any]]


class Shape(NamedTuple):
    """What of a list's statement depends on the request."""

    filters: tuple[str, ...]
    sort_by: str
    descending: bool
    from_place: bool = False
    first: int = 0
    """How many rows are read, where the statement has one plan for whatever values."""
    counted: bool = True
    """Whether what goes on after a page is counted; it is null if not."""


@lru_cache(maxsize=1_000)
def page_sql(listing: Listing, shape: Shape) -> Sql:
    """Return the statement of a page with its total and position."""
    source = source_of(listing, shape)
    few = few_of(source, shape)
    totals = select(
        total_of(source, few, shape).label("list_total"),
        position_of(listing.projection).label("list_position"),
    ).subquery("totals")
    picked = picked_of(source, few, shape, None if shape.first else OFFSET)
    return compiled(around(totals, shown(source, picked), source, shape))


@lru_cache(maxsize=1_000)
def stretch_sql(listing: Listing, shape: Shape) -> Sql:
    """Return the statement of a part of a list that begins at a place."""
    source = source_of(listing, shape)
    if shape.from_place:
        place = [bindparam(f"place_{n}", type_=one.type) for n, one in enumerate(source.order)]
        here, there = tuple_(*source.order), tuple_(*place)
        beyond = source.matching.where(here < there if shape.descending else here > there)
        source = source._replace(matching=beyond)
    seen = select(position_of(listing.projection).label("list_position")).subquery("totals")
    picked = picked_of(source, few_of(source, shape), shape)
    return compiled(around(seen, shown(source, picked), source, shape))


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
    conditions += [one.holds for one in listing.ranges if one.filters <= set(shape.filters)]
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
    keys = select(*listing.rows.primary_key).where(*conditions)
    return Source(listing.rows, keys, order, len(listing.tie), listing.rows)


@lru_cache(maxsize=1_000)
def place_types(listing: Listing, sort_by: str) -> tuple[type[Any], ...]:
    """Return the types of what a place in a list consists of."""
    source = source_of(listing, Shape((), sort_by, descending=False))
    return tuple(one.type.python_type for one in source.order)


def few_of(source: Source, shape: Shape) -> CTE | None:
    """Return the rows that match, all of them if they are few; None: it is known how to find them.

    A planner would rather walk in the order of an index, and overrates how soon that meets
    whatever is rare: the withdrawn products by their stock would be the last of a million.
    """
    if source.table is None or shape.first or not shape.filters:
        return None
    return labelled(source).limit(FEW + 1).cte("few")


def are_few(few: CTE) -> ColumnElement[bool]:
    """Return whether all that match are there."""
    return select(func.count()).select_from(few).scalar_subquery() <= FEW


def picked_of(
    source: Source,
    few: CTE | None,
    shape: Shape,
    offset: ColumnElement[int] | None = None,
) -> FromClause:
    """Return the rows in order, as many as wanted: of a table only the keys."""

    def part(rows: Select[Any], order: Iterable[ColumnElement[Any]]) -> Select[Any]:
        ends = (one.desc() if shape.descending else one.asc() for one in order)
        # Written out where the plan is kept: one for any number at all is for a tenth of them.
        most = literal_column(str(shape.first)) if shape.first else LIMIT
        return rows.order_by(*ends).limit(most).offset(offset)

    every = labelled(source)
    if few is None:
        return part(every, source.order).subquery("picked")
    sorted_few = part(select(*few.c).where(are_few(few)), (few.c[one] for one in names(source)))
    walked = part(every.where(not_(are_few(few))), source.order)
    both = (select(*one.subquery(name).c) for name, one in (("few_", sorted_few), ("all_", walked)))
    return union_all(*both).subquery("picked")


def labelled(source: Source) -> Select[Any]:
    """Return what matches with what it is sorted by."""
    sorts = source.order[: -source.ties]
    return source.matching.add_columns(*(one.label(f"by_{n}") for n, one in enumerate(sorts)))


def names(source: Source) -> list[str]:
    """Return the names of what `labelled` is sorted by."""
    ties = [one.name for one in source.order[-source.ties :]]
    return [f"by_{n}" for n in range(len(source.order) - source.ties)] + ties


def counted(source: Source) -> FromClause:
    """Return what is counted: all rows of a report, which are there; else up to `COUNTED`."""
    if isinstance(source.origin, CTE):
        return source.origin
    return source.matching.limit(COUNTED + 1).subquery("counted")


def total_of(source: Source, few: CTE | None, shape: Shape) -> ColumnElement[int]:
    """Return how many rows there are; null where there are many and they are not counted."""
    every = select(func.count()).select_from(counted(source)).scalar_subquery()
    many: ColumnElement[Any] = every if shape.counted else null()
    if few is None:
        return many
    return case((are_few(few), select(func.count()).select_from(few).scalar_subquery()), else_=many)


def shown(source: Source, picked: FromClause) -> FromClause:
    """Return whole rows for what was picked: what was passed over on the way is never made."""
    if source.table is None:
        return select(*picked.c, true().label("list_row")).subquery("page")
    key = [one.name for one in source.table.primary_key]
    same = and_(*(source.table.c[name] == picked.c[name] for name in key))
    places = [one for one in picked.c if one.name not in key]
    rows = select(*shown_columns(source.table), *places, true().label("list_row"))
    return rows.select_from(picked.join(source.table, same)).subquery("page")


def around(totals: FromClause, page: FromClause, source: Source, shape: Shape) -> Select[Any]:
    """Return the page's rows in order beside the totals, which are there without any row too."""
    order = [page.c[one].desc() if shape.descending else page.c[one].asc() for one in names(source)]
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
    parked = func.concat_ws("-", func.count(), func.sum(PARKED.c.position))
    seen = select(
        position_of(projection).label("list_position"),
        select(parked).where(PARKED.c.side == "live").scalar_subquery().label("list_parked"),
    ).subquery("seen")
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
