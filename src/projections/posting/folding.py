"""A page of events folded into rows; what cannot be applied is kept back with all after it.

What is kept back is an event for a key. Rows with other keys go on, even for the same event.
"""

import traceback
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import psycopg
from psycopg import Connection
from psycopg.rows import TupleRow
from sqlalchemy import Table

from event_store.reading import Unread
from event_store.records import Recorded
from projections.posting.leases import Lease
from projections.posting.pages import Item
from projections.posting.row_sql import read_rows
from projections.posting.sums_sql import Addition
from projections.projection import (
    PARTITIONS,
    Key,
    OwnRow,
    Place,
    Projection,
    Row,
    Rows,
    key_index,
    partition_of,
)
from projections.sides import Side

# Not the event's fault: the page is tried again.
TRANSIENT = (psycopg.OperationalError, psycopg.InterfaceError, MemoryError)

MANY_ROWS = 200  # so many new ones are cheaper copied
LONGEST_ERROR, LONGEST_TRACEBACK = 2_000, 8_000

SKIPS = "select key, position from projection_skips where name = %s and position = any(%s)"

Condemned = Mapping[int, Exception]
"""Positions of events that are known not to be applicable, and why."""


@dataclass(frozen=True)
class Failing:
    """The first event of a key that could not be applied."""

    partition: int
    key: str
    position: int
    error: str
    traceback: str


@dataclass
class Folded:
    """What a page comes to: rows to write, events to keep back, and what Postgres has to add up.

    What is `new` is many rows that are not there yet.
    """

    rows: Rows
    written: list[tuple[Table, list[Row]]] = field(default_factory=list)
    new: list[tuple[Table, list[Row]]] = field(default_factory=list)
    failing: list[Failing] = field(default_factory=list)
    parked: list[tuple[int, str, int]] = field(default_factory=list)
    to_add: Addition | None = None


Planned = tuple[Item, list[Place]]


def fold(  # noqa: PLR0913 - what a page is folded for, each by its name
    connection: Connection[TupleRow],
    projection: Projection,
    leases: Sequence[Lease],
    page: Sequence[Item],
    *,
    side: Side = "live",
    condemned: Condemned | None = None,
) -> Folded:
    """Fold a page for the partitions that are held; reads the rows that it needs, writes none."""
    held = frozenset(one.partition for one in leases)
    planned, simple = plan(projection, held, page)
    if simple and not condemned and not any(one.parked for one in leases):
        rows = rows_for(connection, projection, planned, side)
        try:
            for item, _ in planned:
                projection.fold(rows, item)  # type: ignore[arg-type]  # simple: all were read
        except TRANSIENT:
            raise
        except Exception:  # noqa: BLE001, S110 - whichever it is, it is found one by one below
            pass
        else:
            folded = Folded(rows)
            sort_out(folded, written(projection, held, rows))
            return folded
    rows = rows_for(connection, projection, planned, side)
    skipped = skips(connection, projection, [item.position for item, _ in planned])
    careful = Careful(projection, leases, Folded(rows), skipped)
    for item, places in planned:
        careful.fold(item, places, (condemned or {}).get(item.position))
    sort_out(careful.folded, written(projection, held, rows))
    return careful.folded


def sort_out(folded: Folded, rows: Iterable[tuple[Table, list[Row]]]) -> None:
    """Tell many rows that are new from those that are changed, or few."""
    for table, some in rows:
        there, new = folded.rows.sorted_out(table, some) if len(some) >= MANY_ROWS else (some, [])
        if len(new) < MANY_ROWS:
            folded.written.append((table, some))
            continue
        folded.new.append((table, new))
        if there:
            folded.written.append((table, there))


def plan(
    projection: Projection, held: frozenset[int], page: Iterable[Item]
) -> tuple[list[Planned], bool]:
    """Name the rows of each event that are in held partitions; leave out events without any.

    Also tell whether all can be folded without further ado.
    """
    planned: list[Planned] = []
    simple = True
    for item in page:
        try:
            places = [] if isinstance(item, Unread) else list(projection.needs(item))
        except TRANSIENT:
            raise
        except Exception as error:  # noqa: BLE001 - then nobody knows which rows it needs
            item = unread(item, error)  # noqa: PLW2901 - it is as good as unread
            places = []
        if isinstance(item, Unread):
            simple = False
        elif len(held) < PARTITIONS:
            places = [one for one in places if partition_of(key_in(projection, one)) in held]
            if not places:
                continue
        planned.append((item, places))
    return planned, simple


def unread(item: Item, error: Exception) -> Unread:
    """Return an event of which nothing can be known but where it stands."""
    return Unread(item.position, item.stream_id, item.version, "", error)


def key_in(projection: Projection, place: Place) -> object:
    """Return the key that a row has."""
    table, key = place
    return key[key_index(projection, table)]


def rows_for(
    connection: Connection[TupleRow],
    projection: Projection,
    planned: Iterable[Planned],
    side: Side,
) -> Rows:
    """Read all rows that the events of a page need, one statement a table."""
    first = 1 if isinstance(projection.needs, OwnRow) else 0  # a stream's first event finds no row
    wanted: dict[Table, set[Key]] = defaultdict(set)
    for item, places in planned:
        if item.version > first:
            for table, key in places:
                wanted[table].add(key)
    rows = Rows()
    for table, keys in wanted.items():
        rows.load(table, read_rows(connection, table, keys, side))
    return rows


def written(
    projection: Projection, held: frozenset[int], rows: Rows
) -> list[tuple[Table, list[Row]]]:
    """Return the changed rows of the partitions that are held."""
    if len(held) == PARTITIONS:
        return list(rows.written())
    key = projection.key
    return [
        (table, [row for row in changed if partition_of(row[key]) in held])
        for table, changed in rows.written()
    ]


def skips(
    connection: Connection[TupleRow], projection: Projection, positions: list[int]
) -> frozenset[tuple[str, int]]:
    """Return the keys and positions that an operator has decided to leave out."""
    rows = connection.execute(SKIPS, [projection.name, positions]).fetchall()
    return frozenset((key, position) for key, position in rows)


class Careful:
    """Folds event by event, each whole or not at all, and keeps back what has to wait."""

    def __init__(
        self,
        projection: Projection,
        leases: Sequence[Lease],
        folded: Folded,
        skipped: frozenset[tuple[str, int]],
    ) -> None:
        self.folded, self.skipped = folded, skipped
        self._projection = projection
        self._parked = {one.partition: set(one.parked) for one in leases}

    def fold(self, item: Item, places: Sequence[Place], condemned: Exception | None) -> None:
        """Apply an event to those of its rows that wait for nothing."""
        if isinstance(item, Unread):
            stream = str(item.stream_id)
            self._fail(item, [(partition, stream) for partition in self._parked], item.error)
            return
        going_on = [one for one in places if not self._waits(item, one)]
        if not going_on:
            return
        if condemned is not None:
            self._fail(item, sorted({self._slot(one) for one in going_on}), condemned)
            return
        copies = self.folded.rows.copies(places)
        try:
            self._projection.fold(self.folded.rows, item)
        except TRANSIENT:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, the others go on
            self.folded.rows.restore(copies)
            self._fail(item, sorted({self._slot(one) for one in going_on}), error)
        else:
            waiting = set(places) - set(going_on)
            self.folded.rows.restore(one for one in copies if one[0] in waiting)

    def _slot(self, place: Place) -> tuple[int, str]:
        key = key_in(self._projection, place)
        return partition_of(key), str(key)

    def _waits(self, item: Recorded, place: Place) -> bool:
        """Tell whether an event has to wait for the sake of a row, and keep it back if so."""
        partition, key = self._slot(place)
        for waiting in (str(item.stream_id), key):
            if waiting in self._parked[partition]:
                self._park(partition, waiting, item.position)
                return True
        return False

    def _park(self, partition: int, key: str, position: int) -> None:
        one = (partition, key, position)
        if one not in self.folded.parked[-PARTITIONS:]:
            self.folded.parked.append(one)

    def _fail(self, item: Item, slots: Iterable[tuple[int, str]], error: Exception) -> None:
        for partition, key in slots:
            if (key, item.position) in self.skipped:
                continue  # as was decided
            self._park(partition, key, item.position)
            if key not in self._parked[partition]:
                self._parked[partition].add(key)
                said, where = described(error)[:LONGEST_ERROR], traced(error)
                self.folded.failing.append(Failing(partition, key, item.position, said, where))


def described(error: Exception) -> str:
    """Say what an error is; of Postgres' without its details, which quote the row."""
    if isinstance(error, psycopg.Error) and error.diag.message_primary:
        return f"{type(error).__name__}: {error.diag.message_primary}"
    return f"{type(error).__name__}: {error}"


def traced(error: Exception) -> str:
    """Say where in the program an error arose, and what it is."""
    places = traceback.format_tb(error.__traceback__)
    return "".join([*places, described(error)])[-LONGEST_TRACEBACK:]
