"""What a projection declares: tables, events, the rows that an event needs, and how to fold it."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from uuid import UUID
from zlib import crc32

from sqlalchemy import Table

from event_store.event_types import Event, names_of
from event_store.reading import Share
from event_store.records import Recorded
from projections.openings import Opening
from projections.rows import Key, Place, Row, Rows, key_columns, key_of
from projections.sums import Sums

__all__ = [
    "EVERY_PARTITION",
    "PARTITIONS",
    "Key",
    "OwnRow",
    "Place",
    "Projection",
    "Row",
    "Rows",
    "fold_page",
    "key_columns",
    "key_index",
    "key_of",
    "partition_of",
    "share_of",
]

# As many workers can share the posting of one view; a migration makes as many checkpoints.
PARTITIONS = 4
EVERY_PARTITION = frozenset(range(PARTITIONS))


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

    `sums`: one of the tables is nothing but sums; then `needs` and `fold` use it too. `opening`:
    the view is of one table with a row a stream, and this is what makes such a row.
    """

    name: str
    version: int
    tables: Sequence[Table]
    events: Sequence[type[Event]]
    key: str
    needs: Callable[[Recorded], Iterable[Place]]
    fold: Callable[[Rows, Recorded], None]
    sums: Sums | None = None
    opening: Opening | None = None
    event_names: Sequence[str] = field(init=False)
    event_types: frozenset[type[Event]] = field(init=False)
    other_names: Sequence[str] = field(init=False)
    """Of events that are not entered in the sums."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "event_names", tuple(names_of(self.events)))
        object.__setattr__(self, "event_types", frozenset(self.events))
        summed = frozenset(self.sums.names if self.sums else ())
        others = tuple(name for name in self.event_names if name not in summed)
        object.__setattr__(self, "other_names", others)
        assert self.opening is None or self.needs == OwnRow(self.opening.table)  # noqa: S101 - as it says

    @property
    def is_shared_by_stripes(self) -> bool:
        """Whether Postgres makes some of it in a rebuild, of whatever stretch of the log."""
        return self.sums is not None or self.opening is not None


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


def fold_page(projection: Projection, rows: Rows, page: Iterable[Recorded]) -> Rows:
    """Fold events, in order, into the rows that they need."""
    for event in page:
        projection.fold(rows, event)
    return rows
