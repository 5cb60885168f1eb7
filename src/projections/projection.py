"""What a projection declares: tables, events, the rows that an event needs, and how to fold it."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from uuid import UUID
from zlib import crc32

from sqlalchemy import Table

from event_store.event_types import Event, names_of
from event_store.reading import Share
from event_store.records import Recorded

Row = dict[str, Any]
Key = tuple[Any, ...]
Place = tuple[Table, Key]

# As many workers can share the posting of one view; a migration makes as many checkpoints.
PARTITIONS = 4


class Rows:
    """The rows that a page of events reads and writes, in memory, by table and primary key."""

    def __init__(self) -> None:
        self._rows: dict[Table, dict[Key, Row | None]] = {}
        self._dirty: dict[Table, dict[Key, Row | None]] = {}

    def load(self, table: Table, rows: Iterable[Row]) -> None:
        """Take over rows as the database has them."""
        for row in rows:
            self._rows.setdefault(table, {})[key_of(table, row)] = row

    def find(self, table: Table, *key: Any) -> Row | None:
        """Return a row to look at, None if there is none."""
        return self._rows.get(table, {}).get(key)

    def change(self, table: Table, *key: Any) -> Row:
        """Return a row to change in place; `LookupError` if there is none."""
        row = self.find(table, *key)
        if row is None:
            message = f"{table.name} has no row {key}"
            raise LookupError(message)
        self._dirty.setdefault(table, {})[key] = row
        return row

    def put(self, table: Table, row: Row) -> None:
        """Add a row, or replace the one with its key."""
        key = key_of(table, row)
        self._rows.setdefault(table, {})[key] = row
        self._dirty.setdefault(table, {})[key] = row

    def written(self) -> Iterator[tuple[Table, list[Row]]]:
        """Yield what has to be written, table by table."""
        for table, rows in self._dirty.items():
            yield table, [row for row in rows.values() if row is not None]

    def settle(self) -> None:
        """Say that what had to be written has been."""
        self._dirty.clear()

    def all(self, table: Table) -> list[Row]:
        """Return all rows that are here, in the order of their keys."""
        rows = self._rows.get(table, {})
        return [row for key in sorted(rows) if (row := rows[key]) is not None]

    def copies(self, places: Iterable[Place]) -> list[tuple[Place, Row | None, bool]]:
        """Return how rows are now, for `restore` to bring back."""
        return [
            ((table, key), deepcopy(self.find(table, *key)), key in self._dirty.get(table, ()))
            for table, key in places
        ]

    def restore(self, copies: Iterable[tuple[Place, Row | None, bool]]) -> None:
        """Let rows be as they were when they were copied."""
        for (table, key), row, dirty in copies:
            self._rows.setdefault(table, {})[key] = row
            if dirty:
                self._dirty[table][key] = row
            else:
                self._dirty.get(table, {}).pop(key, None)


@dataclass(frozen=True)
class OwnRow:
    """The `needs` of a view in which each stream has one row, under its id, and moves no other.

    What is known so: which streams a worker need not read, and that a first event finds no row.
    """

    table: Table

    def __call__(self, recorded: Recorded) -> list[Place]:
        """Name the row of the event's stream."""
        return [(self.table, (recorded.stream_id,))]


@dataclass(frozen=True, eq=False)
class Projection:
    """A view and how it is posted from the log.

    `needs` names the rows that an event's fold will look at (missing ones are fine). `fold` gets
    them in memory and changes them there: no I/O, no clock. A table's name ends in the version.

    `key` is the column, part of each table's primary key, that rows are spread over partitions by
    and kept back by when an event cannot be applied: a row is never changed for the sake of a row
    with another key.
    """

    name: str
    version: int
    tables: Sequence[Table]
    events: Sequence[type[Event]]
    key: str
    needs: Callable[[Recorded], Iterable[Place]]
    fold: Callable[[Rows, Recorded], None]
    event_names: Sequence[str] = field(init=False)
    event_types: frozenset[type[Event]] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "event_names", tuple(names_of(self.events)))
        object.__setattr__(self, "event_types", frozenset(self.events))


def partition_of(value: Any) -> int:
    """Return the partition of the rows with a key: the same in every process and release."""
    if isinstance(value, UUID):
        return value.int % PARTITIONS
    return crc32(str(value).encode()) % PARTITIONS


def share_of(partitions: Iterable[int]) -> Share | None:
    """Return the streams whose own rows are in some partitions, None if those are all."""
    held = sorted(partitions)
    return None if len(held) == PARTITIONS else Share(PARTITIONS, held)


@cache
def key_index(projection: Projection, table: Table) -> int:
    """Return where in a table's primary key the projection's key stands."""
    return key_columns(table).index(projection.key)


@cache
def key_columns(table: Table) -> tuple[str, ...]:
    """Return the names of a table's primary key."""
    return tuple(column.name for column in table.primary_key)


def key_of(table: Table, row: Row) -> Key:
    """Return the primary key of a row."""
    return tuple([row[name] for name in key_columns(table)])


def fold_page(projection: Projection, rows: Rows, page: Iterable[Recorded]) -> Rows:
    """Fold events, in order, into the rows that they need."""
    for event in page:
        projection.fold(rows, event)
    return rows
