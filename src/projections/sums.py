"""What adds up: a table of sums, said once, of which both a fold and a statement of SQL are made.

Adding up is the one thing that needs no order, so Postgres can do it for many events at once, and
builders can share the log itself. A few events are folded as those of any other view are.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cached_property
from operator import attrgetter
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import Table

from event_store.event_types import Event, names_of
from event_store.records import Recorded
from projections.rows import Key, Place, Row, Rows, key_columns

Kind = type[UUID | str | int | Decimal | date | datetime]
ONCE: Literal[1] = 1
"""Adds one for each event, whatever is in it."""


@dataclass(frozen=True)
class Fact:
    """A value in an event: where it stands, such as `total.amount`; a moment's `date` is in UTC."""

    path: str
    kind: Kind

    @cached_property
    def _get(self) -> Callable[[Any], Any]:
        return attrgetter(self.path)

    def of(self, facts: Any) -> Any:
        """Return the value."""
        value = self._get(facts)
        return value.astimezone(UTC).date() if self.kind is date else value


@dataclass(frozen=True)
class LineFact(Fact):
    """A value in each of an event's lines."""


@dataclass(frozen=True)
class Entry:
    """How an event is entered: with which sign, and in which of its fields the facts stand.

    `optional`: if that field is null, nothing is entered.
    """

    sign: Literal[1, -1]
    field: str = ""
    optional: bool = False


@dataclass(frozen=True, eq=False)
class Sums:
    """A table whose rows are nothing but sums over events.

    `key` are the columns of its primary key, `adds` all the others, which must not be null. If a
    key has a `LineFact` in it, each event is entered under the keys that its lines have.
    """

    table: Table
    entries: Mapping[type[Event], Entry]
    lines: str
    key: Mapping[str, Fact]
    adds: Mapping[str, Fact | Literal[1]]

    def __post_init__(self) -> None:
        assert tuple(self.key) == key_columns(self.table), self.table  # noqa: S101 - a slip of who wrote it
        known = {*self.key, *self.adds}
        assert known == {column.name for column in self.table.columns}, self.table  # noqa: S101 - as above

    @cached_property
    def names(self) -> Sequence[str]:
        """The stored names of the events that are entered."""
        return names_of(self.entries)

    def needs(self, recorded: Recorded) -> list[Place]:
        """Name the rows that an event is entered in."""
        return [(self.table, key) for key, _ in self._entered(recorded.event)]

    def fold(self, rows: Rows, recorded: Recorded) -> None:
        """Enter an event."""
        sign, facts = self._facts(recorded.event)
        for key, lines in self._entered(recorded.event):
            if rows.find(self.table, *key) is None:
                rows.put(self.table, self._empty(key))
            row = rows.change(self.table, *key)
            for name, fact in self.adds.items():
                row[name] += sign * amount(fact, facts, lines)

    def _facts(self, event: Event) -> tuple[int, Any]:
        entry = self.entries.get(type(event))
        if entry is None:
            return 0, None
        return entry.sign, getattr(event, entry.field) if entry.field else event

    def _entered(self, event: Event) -> Iterable[tuple[Key, Sequence[Any]]]:
        """Return the keys that an event is entered under, each with its lines."""
        _, facts = self._facts(event)
        if facts is None:
            return []
        lines = getattr(facts, self.lines)
        if not self.by_line:
            return [(tuple([one.of(facts) for one in self.key.values()]), lines)]
        grouped: dict[Key, list[Any]] = defaultdict(list)
        for line in lines:
            key = tuple(
                [one.of(line if isinstance(one, LineFact) else facts) for one in self.key.values()]
            )
            grouped[key].append(line)
        return grouped.items()

    @cached_property
    def by_line(self) -> bool:
        """Whether the lines of an event may be entered under several keys."""
        return any(isinstance(one, LineFact) for one in self.key.values())

    def _empty(self, key: Key) -> Row:
        nothing = {
            name: Decimal() if fact != ONCE and fact.kind is Decimal else 0
            for name, fact in self.adds.items()
        }
        return dict(zip(key_columns(self.table), key, strict=True)) | nothing


def amount(fact: Fact | Literal[1], facts: Any, lines: Sequence[Any]) -> Any:
    """Return what one event adds to a column."""
    if fact == ONCE:
        return 1
    if isinstance(fact, LineFact):
        return sum([fact.of(line) for line in lines], Decimal() if fact.kind is Decimal else 0)
    return fact.of(facts)
