"""Building a view anew: the log folded in memory within a budget, and copied into fresh tables.

A stretch of the log is folded for the partitions that are held. Rows and checkpoint are written in
one transaction, so what is killed goes on from the last stretch.

What Postgres can make, sums and the rows of streams with one event, is shared in another way: by
stripes of the log, whatever rows they concern, so that no event is read twice for it. A position
means the same: everything up to it is done, of those stripes that go by a partition's number. Other
streams go with their first event, each as a whole, so that their rows are written once.
"""

import time
from collections.abc import Container, Iterable, Sequence

from psycopg import Connection, Error
from psycopg.rows import TupleRow

from event_store import reading, whole_streams
from event_store.privacy.keyring import Keyring
from event_store.reading import Unread
from event_store.records import Recorded
from projections.posting.by_postgres import make_rows
from projections.posting.folding import Planned, described, plan
from projections.posting.leases import Lease, LeaseLost
from projections.posting.openings_sql import alone
from projections.posting.post_page import FENCED, MOVE
from projections.posting.sums_sql import Stretch
from projections.projection import (
    EVERY_PARTITION,
    PARTITIONS,
    OwnRow,
    Projection,
    Row,
    partition_of,
    share_of,
)
from projections.rebuilds.built_rows import BuiltRows
from projections.rebuilds.jobs import Rebuild, is_striped

MOST_SECONDS = 2.0
PAGE = 5_000
STREAMS = 1_000
STRIPE = 25_000
MOST_ADDED_UP = 16 * STRIPE
MOST_OPENED = 4 * STRIPE
NO_FLUSH = "set local synchronous_commit = off"  # rows and position are lost together, or not
SORTED_IN = "64MB"  # what so many events come to; in less Postgres would sort them on disk


class Stumbled(Exception):  # noqa: N818 - reads as what happened
    """An event of a stretch could not be applied; nothing of the stretch was written."""

    def __init__(self, position: int, cause: Exception) -> None:
        self.position, self.cause = position, cause
        super().__init__(f"Event {position} cannot be applied: {described(cause)}")


class Builder:
    """Builds the partitions that one worker holds under one set of tokens."""

    def __init__(
        self, projection: Projection, group: Sequence[Lease], keys: Keyring, job: Rebuild
    ) -> None:
        """Take on partitions of a job that stand at one position; past 0, others have built."""
        self.tokens = {one.partition: one.token for one in group}
        self._projection, self._group, self._keys = projection, group, keys
        self._held = frozenset(self.tokens)
        self._striped = job.striped
        self._names = projection.other_names if job.striped else projection.event_names
        self._target = job.target
        opening = projection.opening if job.striped else None
        self._alone = alone(opening, job.target) if opening else None
        own = isinstance(projection.needs, OwnRow) and not opening
        self._share = share_of(self._held) if own else None
        # What is read by its share, or stream by stream, is for rows that nobody else writes.
        mine = self._share is not None or opening is not None
        self._to_plan_for = EVERY_PARTITION if mine else self._held
        self._built = BuiltRows(projection, "building", afresh=not group[0].position)

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
            target = min(target, before + most_at_once(self._projection))
        if not self._names:
            position = target
        ends = time.monotonic() + MOST_SECONDS
        read = self._streams if self._alone else self._page
        while position < target and time.monotonic() < ends and not self._built.is_full:
            position = read(connection, position, target)
        self._write(connection, position)
        return position - before

    def _page(self, connection: Connection[TupleRow], after: int, target: int) -> int:
        upto, items = reading.page_from(
            connection, after, target, self._names, PAGE, self._keys, self._share
        )
        planned = self._planned(items)
        self._built.load(connection, planned)
        self._fold(planned)
        return upto

    def _streams(self, connection: Connection[TupleRow], after: int, target: int) -> int:
        """Fold streams that begin in a stripe of ours as a whole: no row is ever read back."""
        assert self._alone is not None  # noqa: S101 - whoever calls this has looked
        end = min(target, (after // STRIPE + 1) * STRIPE)
        if after // STRIPE % PARTITIONS not in self._held:
            return end
        upto, items = whole_streams.streams_opened(
            connection, after, end, self._names, STREAMS, self._keys, self._alone
        )
        self._fold(self._planned(items))
        lost = whole_streams.unopened(connection, after, upto, self._names, self._alone.names)
        if lost is not None:
            raise Stumbled(lost, LookupError("its stream does not begin as those of this view do"))
        return upto

    def _planned(self, items: Iterable[Recorded | Unread]) -> list[Planned]:
        planned, simple = plan(self._projection, self._to_plan_for, items)
        if not simple:
            self._stumble(planned)
        return planned

    def _fold(self, planned: Iterable[Planned]) -> None:
        fold, rows = self._projection.fold, self._built.rows
        for item, _ in planned:
            try:
                fold(rows, item)  # type: ignore[arg-type]  # all were read
            except Exception as error:
                raise Stumbled(item.position, error) from error

    def _stumble(self, planned: Iterable[Planned]) -> None:
        item = next(one for one, _ in planned if isinstance(one, Unread))
        raise Stumbled(item.position, item.error) from item.error

    def _write(self, connection: Connection[TupleRow], position: int) -> None:
        held = list(self.tokens)
        of = [self._projection.name, self._projection.version, "building"]
        move = [*of, held, list(self.tokens.values()), self.position, position]
        try:
            with connection.transaction():
                connection.execute(NO_FLUSH)
                connection.execute(MOVE, move)
                if is_striped(connection, self._projection) != self._striped:
                    raise LeaseLost(self._projection.name)
                all_mine = self._to_plan_for == EVERY_PARTITION
                self._built.write(connection, None if all_mine else self._is_mine)
                if self._striped:
                    self._write_stripes(connection, stripes(self.position, position, self._held))
        except Error as error:
            if error.sqlstate == FENCED:
                raise LeaseLost(str(error)) from error
            raise
        for one in self._group:
            one.position = position
        if self._alone:
            self._built.forget()
        else:
            self._built.settle()

    def _write_stripes(self, connection: Connection[TupleRow], mine: Sequence[Stretch]) -> None:
        connection.execute(f"set local work_mem = '{SORTED_IN}'".encode())
        make_rows(connection, self._projection, mine, self._target, "building")

    def _is_mine(self, row: Row) -> bool:
        return partition_of(row[self._projection.key]) in self._held


def most_at_once(projection: Projection) -> int:
    """Return how many positions Postgres makes rows of in one transaction."""
    return MOST_OPENED if projection.opening else MOST_ADDED_UP


def stripes(after: int, upto: int, partitions: Container[int]) -> list[Stretch]:
    """Return those stripes of a stretch of the log that go by the numbers of some partitions."""
    return [
        (max(after, number * STRIPE), min(upto, (number + 1) * STRIPE))
        for number in range(after // STRIPE, (upto - 1) // STRIPE + 1)
        if number % PARTITIONS in partitions
    ]
