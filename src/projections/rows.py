"""Rows of read tables in memory: what folds look at and change."""

from collections.abc import Iterable, Iterator
from copy import deepcopy
from functools import cache
from typing import Any

from sqlalchemy import Table

Row = dict[str, Any]
Key = tuple[Any, ...]
Place = tuple[Table, Key]


class Rows:
    """The rows that a page of events reads and writes, in memory, by table and primary key."""

    def __init__(self) -> None:
        self._rows: dict[Table, dict[Key, Row | None]] = {}
        self._dirty: dict[Table, dict[Key, Row | None]] = {}
        self._stored: dict[Table, set[Key]] = {}

    def load(self, table: Table, rows: Iterable[Row]) -> None:
        """Take over rows as the database has them."""
        for row in rows:
            key = key_of(table, row)
            self._rows.setdefault(table, {})[key] = row
            self._stored.setdefault(table, set()).add(key)

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

    def new_among(self, table: Table, rows: list[Row]) -> list[Row]:
        """Return those rows that the database did not have."""
        stored = self._stored.get(table)
        return [row for row in rows if key_of(table, row) not in stored] if stored else rows

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


@cache
def key_columns(table: Table) -> tuple[str, ...]:
    """Return the names of a table's primary key."""
    return tuple(column.name for column in table.primary_key)


def key_of(table: Table, row: Row) -> Key:
    """Return the primary key of a row."""
    return tuple([row[name] for name in key_columns(table)])
