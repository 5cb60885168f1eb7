"""What a stream's first event makes: a row, said once, of which a fold and a statement are made.

Of many streams there is no more than the one event: an order that was just placed, or one that came
from elsewhere. Their rows need no order among events, so a rebuild lets Postgres make them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from operator import attrgetter
from typing import Any, Generic, TypeVar

import msgspec
from sqlalchemy import Table

from event_store.event_types import Event
from event_store.records import Recorded
from projections.amounts import MoneyView, money_view
from projections.rows import Row
from projections.sums import Fact, LineFact, amount

View = TypeVar("View", bound=msgspec.Struct)
Lines = Sequence[Any]
Get = Callable[[Recorded, Any, Lines], Any]


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
        view, fields = self.view, self.fields
        return [
            view(
                *[
                    money_view(getattr(line, name), currency) if is_money else getattr(line, name)
                    for name, _, is_money in fields
                ]
            )
            for line in lines
        ]

    @cached_property
    def fields(self) -> Sequence[tuple[str, str, bool]]:
        """Each field's name in the event and as it is shown, and whether it is money."""
        return [
            (one.name, one.encode_name, one.type is MoneyView)
            for one in msgspec.structs.fields(self.view)
        ]


Source = Recording | Fact | LineFact | LineSet | LineViews[Any] | str | list[Any] | None
"""Where a column's value comes from; a text, a list or None: always that."""


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
        lines = getattr(event, self.lines)
        return {name: get(recorded, event, lines) for name, get in self._getters[type(event)]}

    def sources(self, kind: type[Event]) -> Mapping[str, Source]:
        """Return where each column's value is, for an event."""
        return {**self.columns, **self.events[kind]}

    @cached_property
    def _getters(self) -> Mapping[type[Event], Sequence[tuple[str, Get]]]:
        return {
            kind: [(name, getter(source)) for name, source in self.sources(kind).items()]
            for kind in self.events
        }


def getter(source: Source) -> Get:  # noqa: PLR0911 - one for each kind
    """Return what finds a value in an event."""
    match source:
        case Recording(name):
            recorded_as = attrgetter(name)
            return lambda recorded, _event, _lines: recorded_as(recorded)
        case LineFact():
            return lambda _, event, lines: amount(source, event, lines)
        case Fact():
            return lambda _, event, _lines: source.of(event)
        case LineSet(fact):
            return lambda _, _event, lines: sorted({fact.of(line) for line in lines})
        case LineViews():
            return lambda _, event, lines: source.of(lines, source.currency.of(event))
        case list():
            return lambda *_: source.copy()
        case _:
            return lambda *_: source
