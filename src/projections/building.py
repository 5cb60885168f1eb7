"""Building a view anew: the log folded in memory within a budget, and copied into fresh tables.

A stretch of the log is folded for the partitions that are held. Rows that have been written in an
earlier stretch are read back. That the most have not is known where each stream has its own row,
which no first event can find; elsewhere by a filter of fixed size, which is never wrong in the
other direction. Rows and checkpoint are written in one transaction, so what is killed goes on from
the last stretch.

What adds up is shared in another way while it is folded: by stripes of the log, which Postgres adds
to whatever rows they concern, so that no event is read twice. A position means the same: everything
up to it is done, of those stripes that go by a partition's number.
"""

import time
from collections import defaultdict
from collections.abc import Container, Iterable, Sequence

from psycopg import Connection, Error
from psycopg.rows import TupleRow
from sqlalchemy import Table

from event_store import reading
from event_store.privacy.keyring import Keyring
from event_store.reading import Unread
from projections.copying import copy_rows
from projections.engine import FENCED, MOVE
from projections.folding import Planned, plan
from projections.jobs import is_striped
from projections.leases import Lease, LeaseLost
from projections.pages import Item
from projections.projection import (
    PARTITIONS,
    Key,
    OwnRow,
    Projection,
    Rows,
    key_of,
    partition_of,
    share_of,
)
from projections.row_sql import read_rows, write_rows
from projections.sums_sql import Addition, Stretch, add_up

MOST_ROWS = 20_000
MOST_SECONDS = 2.0
PAGE = 5_000
STRIPE = 25_000
MOST_ADDED_UP = 16 * STRIPE
FILTER_BITS = 1 << 25  # 4 MiB; of a million rows, one in a thousand is looked for in vain


class Stumbled(Exception):  # noqa: N818 - reads as what happened
    """An event of a stretch could not be applied; nothing of the stretch was written."""

    def __init__(self, position: int, cause: Exception) -> None:
        self.position, self.cause = position, cause
        super().__init__(f"Event {position} cannot be applied: {type(cause).__name__}: {cause}")


class Filter:
    """Which rows may have been written; of those that it does not know none has."""

    def __init__(self) -> None:
        self._bits = bytearray(FILTER_BITS // 8)

    def add(self, place: object) -> None:
        """Note a row."""
        for bit in self._places(place):
            self._bits[bit >> 3] |= 1 << (bit & 7)

    def __contains__(self, place: object) -> bool:
        return all(self._bits[bit >> 3] & (1 << (bit & 7)) for bit in self._places(place))

    @staticmethod
    def _places(place: object) -> tuple[int, int]:
        code = hash(place)
        return code % FILTER_BITS, (code >> 25) % FILTER_BITS


class Builder:
    """Builds the partitions that one worker holds under one set of tokens."""

    def __init__(
        self, projection: Projection, group: Sequence[Lease], keys: Keyring, *, striped: bool
    ) -> None:
        """Take on partitions that stand at one position; past 0, somebody has built before.

        `striped`: sums are shared by stripes of the log, as whoever else builds the view does.
        """
        self.tokens = {one.partition: one.token for one in group}
        self._projection, self._group, self._keys = projection, group, keys
        self._held = frozenset(self.tokens)
        self._striped = striped
        self._names = projection.other_names if striped else projection.event_names
        self._own = isinstance(projection.needs, OwnRow)
        self._share = share_of(self._held) if self._own else None
        self._filter = None if self._own or group[0].position else Filter()
        self._rows = Rows()
        self._known: dict[Table, set[Key]] = defaultdict(set)
        self._stored: dict[Table, set[Key]] = defaultdict(set)

    @property
    def position(self) -> int:
        """How far these partitions have come."""
        return self._group[0].position

    def stretch(self, connection: Connection[TupleRow], target: int) -> int:
        """Fold and write as much as the budget allows, up to `target`; return positions passed.

        Raises `Stumbled` and `LeaseLost`; then this builder knows nothing any more.
        """
        before = position = self.position
        if self._striped:
            target = min(target, before + MOST_ADDED_UP)
        if not self._names:
            position = target
        ends = time.monotonic() + MOST_SECONDS
        while position < target and time.monotonic() < ends and self._size() < MOST_ROWS:
            position = self._page(connection, position, target)
        self._write(connection, position)
        return position - before

    def _size(self) -> int:
        return sum(map(len, self._known.values()))

    def _page(self, connection: Connection[TupleRow], after: int, target: int) -> int:
        upto, items = reading.page_from(
            connection, after, target, self._names, PAGE, self._keys, self._share
        )
        planned, simple = plan(self._projection, self._held, items)
        if not simple:
            self._stumble(planned)
        self._load(connection, planned)
        fold, rows = self._projection.fold, self._rows
        for item, _ in planned:
            try:
                fold(rows, item)  # type: ignore[arg-type]  # simple: all were read
            except Exception as error:
                raise Stumbled(item.position, error) from error
        return upto

    def _stumble(self, planned: Iterable[Planned]) -> None:
        item = next(one for one, _ in planned if isinstance(one, Unread))
        raise Stumbled(item.position, item.error) from item.error

    def _load(self, connection: Connection[TupleRow], planned: Iterable[Planned]) -> None:
        """Read back the rows that a page needs and that earlier stretches may have written."""
        wanted: dict[Table, set[Key]] = defaultdict(set)
        for item, places in planned:
            for table, key in places:
                if key not in self._known[table]:
                    self._known[table].add(key)
                    if self._may_be_stored(item, table, key):
                        wanted[table].add(key)
        for table, keys in wanted.items():
            found = read_rows(connection, table, keys, "building")
            self._rows.load(table, found)
            self._stored[table].update(key_of(table, row) for row in found)

    def _may_be_stored(self, item: Item, table: Table, key: Key) -> bool:
        if self._own:
            return item.version > 1
        return self._filter is None or place_of(table, key) in self._filter

    def _write(self, connection: Connection[TupleRow], position: int) -> None:
        held = list(self.tokens)
        of = [self._projection.name, self._projection.version, "building"]
        move = [*of, held, list(self.tokens.values()), self.position, position]
        try:
            with connection.transaction():
                connection.execute(MOVE, move)
                if is_striped(connection, self._projection) != self._striped:
                    raise LeaseLost(self._projection.name)
                for table, rows in self._rows.written():
                    self._write_table(connection, table, rows)
                if self._striped:
                    mine = stripes(self.position, position, self._held)
                    add_up(connection, Addition(self._projection, mine), "building")
        except Error as error:
            if error.sqlstate == FENCED:
                raise LeaseLost(str(error)) from error
            raise
        for one in self._group:
            one.position = position
        if self._size() >= MOST_ROWS:
            self._forget()
        else:
            self._keep()

    def _write_table(
        self, connection: Connection[TupleRow], table: Table, rows: list[dict[str, object]]
    ) -> None:
        mine = rows
        if len(self._held) < PARTITIONS and self._share is None:
            key = self._projection.key
            mine = [row for row in rows if partition_of(row[key]) in self._held]
        stored = self._stored[table]
        changed = [row for row in mine if key_of(table, row) in stored] if stored else []
        new = [row for row in mine if key_of(table, row) not in stored] if stored else mine
        write_rows(connection, table, changed, "building")
        copy_rows(connection, table, new, "building")
        if self._filter is not None:
            for row in mine:
                self._filter.add(place_of(table, key_of(table, row)))

    def _keep(self) -> None:
        """Know from now on that what was written is there."""
        for table, rows in self._rows.written():
            self._stored[table].update(key_of(table, row) for row in rows)
        self._rows.settle()

    def _forget(self) -> None:
        self._rows = Rows()
        self._known.clear()
        self._stored.clear()


def stripes(after: int, upto: int, partitions: Container[int]) -> list[Stretch]:
    """Return those stripes of a stretch of the log that go by the numbers of some partitions."""
    return [
        (max(after, number * STRIPE), min(upto, (number + 1) * STRIPE))
        for number in range(after // STRIPE, (upto - 1) // STRIPE + 1)
        if number % PARTITIONS in partitions
    ]


def place_of(table: Table, key: Key) -> object:
    """Return what the filter knows a row by."""
    return table.name, key
