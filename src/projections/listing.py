"""What a list declares: its rows, the filters and orders that clients may ask for, by name."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias

import msgspec
from sqlalchemy import ColumnElement, Select, Table, bindparam
from sqlalchemy.types import TypeEngine

from event_store.history.questions import Question
from projections.projection import Projection, Row

USUAL_LIMIT = 20

Filter = tuple[ColumnElement[bool], Callable[[Any], Any]]
Computed: TypeAlias = Callable[[Sequence[ColumnElement[bool]]], Select[Any]]


class Range(NamedTuple):
    """Two filters that are the ends of a range, and when there can be anything between them."""

    filters: frozenset[str]
    holds: ColumnElement[bool]


def range_of(low: str, high: str, kind: TypeEngine[Any]) -> Range:
    """Return the range between two filters by values of a type."""
    holds = bindparam(low, type_=kind) <= bindparam(high, type_=kind)
    return Range(frozenset({low, high}), holds)


@dataclass(frozen=True, eq=False)
class Listing:
    """A list of a view: what it may be filtered and sorted by, under the names that clients use.

    `rows` is a table, or what computes all rows that meet some conditions (a report).
    A filter is a condition with a parameter of the filter's name, and what turns the client's
    value into the parameter. A sort names columns that are never null, or one of `expressions`;
    ties are decided by `tie`, so that every order is total. `keys` are filters by a key
    of other rows, of which one value is as good as another. `ranges` are pairs of filters between
    which there may be nothing, and a database would look for it. `personal` are filters and
    sorts by what tells of a person. `streams` are filters that leave few rows, each made of the
    events of its own stream alone, and what asks history for an event of each of these streams.
    """

    projection: Projection
    rows: Table | Computed
    filters: Mapping[str, Filter]
    sorts: Mapping[str, Sequence[str]]
    default_sort: str
    default_descending: bool = True
    tie: Sequence[str] = ("id",)
    expressions: Mapping[str, ColumnElement[Any]] | None = None
    keys: frozenset[str] = frozenset()
    ranges: Sequence[Range] = ()
    personal: frozenset[str] = frozenset()
    streams: Mapping[str, Callable[[Any], Question]] = field(default_factory=dict)


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """Which page of a list is asked for. Names are those of the listing."""

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


class Stretch(msgspec.Struct, frozen=True, kw_only=True):
    """Which part of a list is asked for: what follows a place in it, or comes before it."""

    filters: dict[str, Any] = {}
    sort_by: str
    descending: bool
    limit: int
    place: tuple[Any, ...] | None = None
    backwards: bool = False


class Part(msgspec.Struct, frozen=True):
    """Rows in the list's order, whether there are more beyond, and the position of the view."""

    rows: list[Row]
    more: bool
    position: int


def has_one_plan(listing: Listing, asked: Request | Stretch) -> bool:
    """Tell whether a part of a list is read best in one way, whatever values are asked for.

    So are its beginning and what follows a place in it. Planning takes a database longer than
    finding 20 rows.
    """
    is_near = isinstance(asked, Stretch) or asked.offset == 0
    return is_near and asked.limit == USUAL_LIMIT and listing.keys.issuperset(asked.filters)


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


def values_of(listing: Listing, filters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters of filters."""
    return {name: listing.filters[name][1](value) for name, value in filters.items()}


def place_of(listing: Listing, sort_by: str, row: Row) -> tuple[Any, ...]:
    """Return where a row that was listed stands in the order of a list."""
    count = len(listing.sorts[sort_by])
    return (*(row[f"by_{number}"] for number in range(count)), *(row[name] for name in listing.tie))
