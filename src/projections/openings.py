"""What a stream's first event makes: a row, said once, of which a fold and a statement are made.

Of many streams there is no more than the one event: an order that was just placed, or one that came
from elsewhere. Their rows need no order among events, so a rebuild lets Postgres make them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import cached_property
from operator import attrgetter
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec
from sqlalchemy import Table

from event_store.event_types import Event
from event_store.records import Recorded
from projections.amounts import MoneyView, money_view
from projections.rows import Row
from projections.sums import Fact, LineFact

View = TypeVar("View", bound=msgspec.Struct)
Lines = Sequence[Any]


@dataclass(frozen=True)
class Recording:
    """What is recorded of an event: `stream_id`, `version` or `occurred_at`."""

    name: str


@dataclass(frozen=True)
class LineSet:
    """The different values in an event's lines, in order."""

    fact: LineFact


@dataclass(frozen=True)
class LineViews(Generic[View]):
    """An event's lines as they are shown; amounts of money are in the event's one currency."""

    view: type[View]
    currency: Fact

    def of(self, lines: Lines, currency: str) -> list[View]:
        """Return the views of lines with amounts in a currency."""
        view, values_of, money = self.view, self._values, self._money
        views = []
        for line in lines:
            values = [*values_of(line)]
            for place in money:
                values[place] = money_view(values[place], currency)
            views.append(view(*values))
        return views

    @cached_property
    def fields(self) -> Sequence[tuple[str, str, bool]]:
        """Each field's name in the event and as it is shown, and whether it is money."""
        return [
            (one.name, one.encode_name, one.type is MoneyView)
            for one in msgspec.structs.fields(self.view)
        ]

    @cached_property
    def _values(self) -> Callable[[Any], tuple[Any, ...]]:
        return attrgetter(*[name for name, _, _ in self.fields])

    @cached_property
    def _money(self) -> Sequence[int]:
        return [place for place, (_, _, is_money) in enumerate(self.fields) if is_money]


Source = Recording | Fact | LineFact | LineSet | LineViews[Any] | str | tuple[()] | None
"""Where a column's value comes from; a text, an empty list or None: always that."""


@dataclass(frozen=True, eq=False)
class Opening:
    """A table in which each stream has one row, which its first event makes.

    `events` are such first events, each with the columns in which it differs. A `LineFact` is
    added up over the lines.
    """

    table: Table
    events: Mapping[type[Event], Mapping[str, Source]]
    lines: str
    columns: Mapping[str, Source]

    def __post_init__(self) -> None:
        known = {*self.columns}.union(*self.events.values())
        assert known == {column.name for column in self.table.columns}, self.table  # noqa: S101 - a slip of who wrote it

    def row(self, recorded: Recorded) -> Row:
        """Return the row that a first event makes."""
        event = recorded.event
        row, names, values_of, from_lines = self._made[type(event)]
        row = row.copy()
        row.update(zip(names, values_of(recorded), strict=True))
        lines = getattr(event, self.lines)
        for name, get in from_lines:
            row[name] = get(event, lines)
        return row

    def sources(self, kind: type[Event]) -> Mapping[str, Source]:
        """Return where each column's value is, for an event."""
        return {**self.columns, **self.events[kind]}

    @cached_property
    def _made(self) -> Mapping[type[Event], "Made"]:
        return {kind: made(self.sources(kind)) for kind in self.events}


class Made(NamedTuple):
    """How rows are made: what is always so, what stands in the event itself, what in its lines."""

    always: Row
    names: Sequence[str]
    values_of: Callable[[Recorded], tuple[Any, ...]]
    from_lines: Sequence[tuple[str, Callable[[Any, Lines], Any]]]


def made(sources: Mapping[str, Source]) -> Made:
    """Sort columns by where their values come from, so that a row takes few calls."""
    paths = {name: path for name, one in sources.items() if (path := path_of(one))}
    from_lines = {
        name: one
        for name, one in sources.items()
        if isinstance(one, LineFact | LineSet | LineViews)
    }
    always = {name: one for name, one in sources.items() if name not in {*paths, *from_lines}}
    return Made(
        always=always,
        names=tuple(paths),
        values_of=attrgetter(*paths.values()),
        from_lines=[(name, getter(one)) for name, one in from_lines.items()],
    )


def path_of(source: Source) -> str | None:
    """Return where a value stands in what is recorded of an event, if it is one value."""
    match source:
        case Recording(name):
            return name
        case LineFact():
            return None
        case Fact(path, kind):
            assert kind is not date  # noqa: S101 - a moment's day would have to be found out
            return f"event.{path}"
        case _:
            return None


def getter(source: LineFact | LineSet | LineViews[Any]) -> Callable[[Any, Lines], Any]:
    """Return what finds a value in an event's lines."""
    match source:
        case LineFact(path):
            get, nothing = attrgetter(path), Decimal() if source.kind is Decimal else 0
            return lambda _, lines: sum(map(get, lines), nothing)
        case LineSet(fact):
            each = attrgetter(fact.path)
            return lambda _, lines: sorted(set(map(each, lines)))
        case LineViews():
            currency_of = source.currency.of
            return lambda event, lines: source.of(lines, currency_of(event))
