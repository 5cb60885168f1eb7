"""Rows of read tables in memory: what folds look at and change."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from copy import deepcopy
from functools import cache
from operator import itemgetter
from typing import Any

from sqlalchemy import Table

Row = dict[str, Any]
Key = tuple[Any, ...]
Place = tuple[Table, Key]


class Rows:
    """The rows that a page of events reads and writes, in memory, by table and primary key.

    Which of them are to be written is kept by their identity: to hash a key of UUIDs costs more
    than all else that is done to a row here.
    """

    def __init__(self) -> None:
        self._rows: defaultdict[Table, dict[Key, Row | None]] = defaultdict(dict)
        self._dirty: defaultdict[Table, dict[int, Row]] = defaultdict(dict)
        self._stored: defaultdict[Table, set[Key]] = defaultdict(set)

    def __len__(self) -> int:
        return sum(map(len, self._rows.values()))

    def load(self, table: Table, rows: Iterable[Row]) -> None:
        """Take over rows as the database has them."""
        for row in rows:
            key = key_of(table, row)
            self._rows[table][key] = row
            self._stored[table].add(key)

    def find(self, table: Table, *key: Any) -> Row | None:
        """Return a row to look at, None if there is none."""
        return self._rows[table].get(key)

    def change(self, table: Table, *key: Any) -> Row:
        """Return a row to change in place; `LookupError` if there is none."""
        row = self.find(table, *key)
        if row is None:
            message = f"{table.name} has no row {key}"
            raise LookupError(message)
        self._dirty[table][id(row)] = row
        return row

    def put(self, table: Table, row: Row) -> None:
        """Add a row, or replace the one with its key."""
        self._set(table, key_of(table, row), row)
        self._dirty[table][id(row)] = row

    def written(self) -> Iterator[tuple[Table, list[Row]]]:
        """Yield what has to be written, table by table."""
        for table, rows in self._dirty.items():
            yield table, list(rows.values())

    def sorted_out(self, table: Table, rows: list[Row]) -> tuple[list[Row], list[Row]]:
        """Return those rows that the database has already, and those that are new to it."""
        stored = self._stored[table]
        if not stored:
            return [], rows
        there: list[Row] = []
        new: list[Row] = []
        for row in rows:
            (there if key_of(table, row) in stored else new).append(row)
        return there, new

    def settle(self) -> None:
        """Say that what had to be written has been."""
        for table, rows in self.written():
            self._stored[table].update(key_of(table, row) for row in rows)
        self._dirty.clear()

    def all(self, table: Table) -> list[Row]:
        """Return all rows that are here, in the order of their keys."""
        rows = self._rows[table]
        return [row for key in sorted(rows) if (row := rows[key]) is not None]

    def copies(self, places: Iterable[Place]) -> list[tuple[Place, Row | None, bool]]:
        """Return how rows are now, for `restore` to bring back."""
        found = [(one, self.find(one[0], *one[1])) for one in places]
        return [
            ((table, key), deepcopy(row), id(row) in self._dirty[table])
            for (table, key), row in found
        ]

    def restore(self, copies: Iterable[tuple[Place, Row | None, bool]]) -> None:
        """Let rows be as they were when they were copied."""
        for (table, key), row, dirty in copies:
            self._set(table, key, row)
            if dirty and row is not None:
                self._dirty[table][id(row)] = row

    def _set(self, table: Table, key: Key, row: Row | None) -> None:
        former = self._rows[table].setdefault(key, row)
        if former is not row:
            self._rows[table][key] = row
            self._dirty[table].pop(id(former), None)


@cache
def key_columns(table: Table) -> tuple[str, ...]:
    """Return the names of a table's primary key."""
    return tuple(column.name for column in table.primary_key)


def key_of(table: Table, row: Row) -> Key:
    """Return the primary key of a row."""
    return key_getter(table)(row)


@cache
def key_getter(table: Table) -> Callable[[Row], Key]:
    """Return what takes the primary key out of a row, as is done for every event."""
    first, *others = key_columns(table)
    return itemgetter(first, *others) if others else lambda row: (row[first],)
