"""Making a view as it was: the log folded up to a position, by the view's own fold, into tables.

It is what a rebuild does, without partitions and leases: one session makes a past, in stretches, so
that it can do other things in between. If it dies, another begins anew. What is personal stays
encrypted, so the tables hold nothing that would have to be forgotten.
"""

import time
from collections.abc import Iterable, Mapping, Sequence

import psycopg
import structlog
from psycopg import Connection
from psycopg.rows import TupleRow

from event_store import reading
from event_store.alone import Alone
from event_store.reading import Unread
from projections.pasts.register import (
    Kept,
    clear,
    earlier,
    enter,
    give_back,
    reach,
    take,
    unfinished,
)
from projections.posting.by_postgres import make_rows
from projections.posting.folding import TRANSIENT, Careful, Folded, Planned, plan, skips
from projections.posting.leases import Lease
from projections.posting.openings_sql import alone
from projections.posting.pages import Item
from projections.projection import EVERY_PARTITION, PARTITIONS, Projection
from projections.rebuilds.building import MOST_SECONDS, PAGE, most_at_once
from projections.rebuilds.built_rows import BuiltRows
from projections.rebuilds.new_tables import make_tables

log = structlog.get_logger(__name__)


class ReadOneByOne(Exception):  # noqa: N818 - reads as what is to be done
    """An event cannot be read, and sums are not added up past such a one."""


class PastBuilder:
    """Makes one past, over the session that has taken its place."""

    def __init__(self, projection: Projection, past: Kept) -> None:
        self._projection, self._past = projection, past
        self._position = 0
        self._indexes: list[str] = []
        self._careful: Careful | None = None
        self._by_postgres = projection.is_shared_by_stripes
        self._built = BuiltRows(projection, past.place, afresh=True)

    def begin(self, connection: Connection[TupleRow]) -> None:
        """Make the tables: empty, or as they are in the last past before this one."""
        place = self._past.place
        with connection.transaction():
            connection.execute("set local statement_timeout = 0")
            clear(connection, place)
            self._indexes = make_tables(connection, self._projection, place)
            if base := earlier(connection, self._past):
                for table in self._projection.tables:
                    columns = ", ".join(column.name for column in table.columns)
                    copy = f"insert into {place}.{table.name} ({columns}) select {columns}"
                    connection.execute(f"{copy} from {base.place}.{table.name}".encode())
                self._position = base.upto
                self._built = BuiltRows(self._projection, place, afresh=False)
        reach(connection, self._past, self._position)

    def step(self, connection: Connection[TupleRow]) -> bool:
        """Go on for some seconds; False if the past is ready."""
        if self._position < self._past.upto:
            self._stretch(connection)
            return True
        self._finish(connection)
        return False

    def _stretch(self, connection: Connection[TupleRow]) -> None:
        """Fold and write as much as the budget allows."""
        try:
            position = self._folded(connection)
            self._write(connection, position)
        except TRANSIENT:
            raise
        except Exception:  # whichever event it is, it is found one by one
            if self._careful is not None:
                raise
            self._become_careful()

    def _folded(self, connection: Connection[TupleRow]) -> int:
        """Fold what the budget allows; return up to where that is."""
        position, ends = self._position, time.monotonic() + MOST_SECONDS
        target = self._past.upto
        if self._by_postgres:
            target = min(target, position + most_at_once(self._projection))
        if not self._names:
            return target
        while position < target and time.monotonic() < ends and not self._built.is_full:
            position = self._page(connection, position, target)
        return position

    @property
    def _names(self) -> Sequence[str]:
        of = self._projection
        return of.other_names if self._by_postgres else of.event_names

    @property
    def _alone(self) -> Alone | None:
        opening = self._projection.opening
        return alone(opening, self._past.upto) if opening and self._by_postgres else None

    def _page(self, connection: Connection[TupleRow], after: int, target: int) -> int:
        upto, items = reading.page_from(
            connection, after, target, self._names, PAGE, None, without=self._alone
        )
        planned, simple = plan(self._projection, EVERY_PARTITION, self._wanted(items))
        if not simple and self._careful is None:
            if self._by_postgres:  # what waits by its key may have to keep back some of the sums
                raise ReadOneByOne
            self._careful = self._new_careful()
        self._built.load(connection, planned)
        if self._careful is None:
            for item, _ in planned:
                self._projection.fold(self._built.rows, item)  # type: ignore[arg-type]  # simple: all were read
        else:
            self._fold_carefully(connection, self._careful, planned)
        return upto

    def _wanted(self, items: Sequence[Item]) -> Iterable[Item]:
        """Leave out what had not happened by the moment, if it is that what was asked for."""
        moment = self._past.happened
        if moment is None:
            return items
        return [one for one in items if isinstance(one, Unread) or one.occurred_at <= moment]

    def _become_careful(self) -> None:
        """Fold one by one from here on; what is in the tables by now is read back."""
        self._by_postgres = False
        self._built = BuiltRows(self._projection, self._past.place, afresh=not self._position)
        self._careful = self._new_careful()

    def _new_careful(self) -> Careful:
        """Return what folds as live views do once an event cannot be applied: it waits by key."""
        leases = [Lease(partition, 0, 0) for partition in range(PARTITIONS)]
        return Careful(self._projection, leases, Folded(self._built.rows), frozenset())

    def _fold_carefully(
        self, connection: Connection[TupleRow], careful: Careful, planned: Sequence[Planned]
    ) -> None:
        careful.folded = Folded(self._built.rows)
        positions = [item.position for item, _ in planned]
        careful.skipped = skips(connection, self._projection, positions)
        for item, places in planned:
            careful.fold(item, places, None)

    def _write(self, connection: Connection[TupleRow], position: int) -> None:
        with connection.transaction():
            self._built.write(connection)
            if self._by_postgres:
                past, stretch = self._past, (self._position, position)
                of = (self._projection, [stretch], past.upto, past.place, past.happened)
                make_rows(connection, *of)
        reach(connection, self._past, position)
        self._position = position
        self._built.settle()

    def _finish(self, connection: Connection[TupleRow]) -> None:
        enter(connection, self._past, "indexing")
        for statement in self._indexes:
            with connection.transaction():
                connection.execute("set local statement_timeout = 0")
                connection.execute("set local maintenance_work_mem = '128MB'")
                connection.execute(statement.encode())
        for table in self._projection.tables:
            connection.execute(f"analyze {self._past.place}.{table.name}".encode())
        enter(connection, self._past, "ready", whole=self._careful is None)


class Archivist:
    """Makes the pasts that are asked for, one after the other, in the steps of a process."""

    def __init__(self, projections: Mapping[str, Projection]) -> None:
        self._projections = projections
        self._at: tuple[Kept, PastBuilder] | None = None

    def step(self, connection: Connection[TupleRow]) -> bool:
        """Do what is to be done next, for some seconds; False if there is nothing."""
        if self._at is None:
            self._at = self._next(connection)
        if self._at is None:
            return False
        past, builder = self._at
        try:
            if builder.step(connection):
                return True
        except (psycopg.OperationalError, psycopg.InterfaceError):
            self._at = None
            raise
        except Exception:
            log.exception("past_failed", projection=past.name, upto=past.upto)
            enter(connection, past, "failed")
        self._at = None
        give_back(connection, past)
        return True

    def _next(self, connection: Connection[TupleRow]) -> tuple[Kept, PastBuilder] | None:
        for past in unfinished(connection):
            projection = self._projections.get(past.name)
            if projection is None or projection.version != past.version:
                continue
            if take(connection, past):
                builder = PastBuilder(projection, past)
                builder.begin(connection)
                return past, builder
        return None
