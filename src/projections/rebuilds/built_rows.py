"""The rows that somebody who makes tables anew has folded, and what is known of those stored.

Rows that have left the memory are read back. That the most have not is known where each stream has
its own row, which no first event can find; elsewhere by a filter of fixed size, which is never
wrong in the other direction.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable

from psycopg import Connection
from psycopg.rows import TupleRow
from sqlalchemy import Table

from projections.posting.copying import copy_rows
from projections.posting.folding import Planned
from projections.posting.row_sql import read_rows, write_rows
from projections.projection import Key, OwnRow, Projection, Row, Rows, key_of
from projections.sides import Past, Side

MOST_ROWS = 20_000
FILTER_BITS = 1 << 25  # 4 MiB; of a million rows, one in a thousand is looked for in vain


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


class BuiltRows:
    """Rows of one view, on their way from its fold into the tables of a side or of a past."""

    def __init__(self, projection: Projection, side: Side | Past, *, afresh: bool) -> None:
        """`afresh`: the tables are empty, so whatever is in them comes from here."""
        self._side = side
        self._own = isinstance(projection.needs, OwnRow)
        self._filter = Filter() if afresh and not self._own else None
        self.forget()

    @property
    def is_full(self) -> bool:
        """Whether these are as many rows as may be in memory."""
        return max(len(self.rows), sum(map(len, self._sought.values()))) >= MOST_ROWS

    def load(self, connection: Connection[TupleRow], planned: Iterable[Planned]) -> None:
        """Read back the rows that a page needs and that earlier stretches may have written."""
        wanted: dict[Table, set[Key]] = defaultdict(set)
        for item, places in planned:
            if self._own and item.version == 1:
                continue
            for table, key in places:
                if key in self._sought[table] or self.rows.find(table, *key) is not None:
                    continue
                self._sought[table].add(key)
                if self._filter is None or place_of(table, key) in self._filter:
                    wanted[table].add(key)
        for table, keys in wanted.items():
            self.rows.load(table, read_rows(connection, table, keys, self._side))

    def write(
        self, connection: Connection[TupleRow], is_mine: Callable[[Row], bool] | None = None
    ) -> None:
        """Write what the fold has changed, or of that what is one's own; in a transaction."""
        for table, rows in self.rows.written():
            mine = rows if is_mine is None else [row for row in rows if is_mine(row)]
            changed, new = self.rows.sorted_out(table, mine)
            write_rows(connection, table, changed, self._side)
            copy_rows(connection, table, new, self._side)
            if self._filter is not None:
                for row in mine:
                    self._filter.add(place_of(table, key_of(table, row)))

    def settle(self) -> None:
        """Know from now on that what was written is there; forget all if that is too much."""
        if self.is_full:
            self.forget()
        else:
            self.rows.settle()

    def forget(self) -> None:
        """Have nothing in memory: neither rows nor which of them are stored."""
        self.rows = Rows()
        self._sought: dict[Table, set[Key]] = defaultdict(set)


def place_of(table: Table, key: Key) -> object:
    """Return what the filter knows a row by."""
    return table.name, key
