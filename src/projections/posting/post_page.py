"""One page of the log posted to a view: rows and checkpoints together, less of it if it fails."""

import random
import time
from collections.abc import Sequence
from contextlib import nullcontext, suppress
from functools import partial

import structlog
from psycopg import Connection, Error, errors
from psycopg.rows import TupleRow

from event_store.event_types import UnknownEvent
from event_store.reading import Unread
from projections.posting import pages as pages_of_the_log
from projections.posting.copying import copy_rows
from projections.posting.folding import TRANSIENT, Condemned, Folded, described, fold
from projections.posting.leases import CAREFUL_CRASHES, Lease, LeaseLost
from projections.posting.pages import Item, Pages
from projections.posting.progress import tell
from projections.posting.row_sql import write_rows
from projections.posting.sums_sql import Addition, add_up, can_add
from projections.posting.suspects import AnotherIsTried, Where, news, on_the_try
from projections.projection import Projection
from projections.sides import Side

MOST_ADDED_UP = 10_000
MOST_FAILING_KEYS = 1_000
ATTEMPTS = 5
FIRST_PAUSE = 0.05
FENCED = "DBK01"

log = structlog.get_logger(__name__)

MOVE = "select move_partitions(%s, %s, %s, %s::int[], %s::bigint[], %s, %s)"

FAIL = """
insert into projection_failures
       (name, version, side, partition, key, position, error, traceback)
values (%s, %s, %s, %s, %s, %s, %s, %s)
"""

PARK = """
insert into projection_parked (name, version, side, partition, key, position)
select %s, %s, %s, p, k, n from unnest(%s::int[], %s::text[], %s::bigint[]) as t (p, k, n)
"""

HELD_UP = """
update projection_checkpoints set failure = %s, failed_at = clock_timestamp()
 where name = %s and version = %s and side = %s and partition = any(%s)
   and failure is distinct from %s
"""

# The event's values are such that Postgres cannot hold them.
UNFIT = (
    errors.DataError,
    errors.IntegrityError,
    errors.NotSupportedError,
    errors.ProgramLimitExceeded,
    UnicodeEncodeError,
    OverflowError,
)
# Somebody else was in the way; the same may succeed a moment later.
COLLIDED = (errors.SerializationFailure, errors.DeadlockDetected)


class ProjectionFailed(Exception):  # noqa: N818 - reads as what happened
    """A view stands still: an unknown event comes next, or too much of it has failed."""

    def __init__(self, projection: Projection, reason: str) -> None:
        self.projection, self.reason = projection, reason
        super().__init__(f"Projection {projection.name} stands still: {reason}")


def post_page(
    connection: Connection[TupleRow],
    projection: Projection,
    leases: Sequence[Lease],
    pages: Pages,
    side: Side = "live",
) -> int:
    """Apply the next page to those partitions that are furthest behind, and move them.

    Rows and checkpoints are written in one transaction; returns how many positions were passed.
    What cannot be applied is parked. Raises `LeaseLost`, and `ProjectionFailed` when the view has
    to wait, which is noted beside the checkpoint for the operator to see.
    """
    lowest = min(one.position for one in leases)
    group = [one for one in leases if one.position == lowest]
    others = [one.position for one in leases if one.position > lowest]
    upto = min([lowest + pages_of_the_log.PAGE, *others])
    page = Page(connection, projection, group, pages, side)
    try:
        step = page.add_up(min([lowest + MOST_ADDED_UP, *others])) or page.post(upto)
        if step and side == "live":
            tell(connection, projection)
    except ProjectionFailed as failed:
        log.warning("projection_holds", projection=projection.name, reason=failed.reason)
        hold_up(connection, page, failed.reason)
        raise
    except (LeaseLost, *TRANSIENT):
        raise
    except Exception as error:
        with suppress(Error):  # it may have been the connection's end
            hold_up(connection, page, described(error))
        raise
    return step


def hold_up(connection: Connection[TupleRow], page: "Page", reason: str) -> None:
    """Note beside the checkpoints why a view waits; the next step forward takes it away."""
    values = [*page.where, page.partitions, reason]
    connection.execute(HELD_UP, [reason, *values])


def write(connection: Connection[TupleRow], where: Where, folded: Folded) -> None:
    """Write what a page came to; part of a transaction that has made sure of the partitions."""
    for table, rows in folded.written:
        write_rows(connection, table, rows, where[2])
    for table, rows in folded.new:
        copy_rows(connection, table, rows, where[2])
    if folded.to_add is not None:
        add_up(connection, folded.to_add, where[2])
    for one in folded.failing:
        values = [one.partition, one.key, one.position, one.error, one.traceback]
        connection.execute(FAIL, [*where, *values])
    if folded.parked:
        columns = [list(column) for column in zip(*folded.parked, strict=True)]
        connection.execute(PARK, [*where, *columns])


class Page:
    """The posting of one page, again with less of it if it fails."""

    def __init__(
        self,
        connection: Connection[TupleRow],
        projection: Projection,
        group: Sequence[Lease],
        pages: Pages,
        side: Side,
    ) -> None:
        self._connection, self._projection, self._group = connection, projection, group
        self._pages, self._side = pages, side
        self._after = group[0].position
        self.where: Where = (projection.name, projection.version, side)
        self.partitions = [one.partition for one in group]

    def add_up(self, upto: int) -> int:
        """Let Postgres add many events up, and return the positions passed; 0 if that cannot be.

        Then they are folded: what is wrong with which event is found there.
        """
        end = min(upto, self._pages.head)
        if (
            end - self._after < pages_of_the_log.ADDED_UP
            or not can_add(self._connection, self._projection, self.partitions)
            or any(one.parked or one.crashes for one in self._group)
        ):
            return 0
        others = self._pages.others(self._connection, self._projection, self._after, end)
        folded = self._fold(others, {})
        if folded.failing or folded.parked or any(isinstance(one, Unread) for one in others):
            return 0
        folded.to_add = Addition(self._projection, [(self._after, end)], self.partitions)
        try:
            return self._commit(end, folded)
        except (*UNFIT, *COLLIDED) as error:
            log.info("not_added_up", projection=self._projection.name, error=described(error))
            return 0

    def post(self, upto: int) -> int:
        """Post the events up to a position, or as many as can be; return the positions passed."""
        if any(one.crashes >= CAREFUL_CRASHES for one in self._group):
            try:
                return self._post_carefully(upto)
            except AnotherIsTried:
                return 0
        end, items = self._pages.read(self._connection, self._projection, self._after, upto)
        if end <= self._after:
            return 0
        end, items = self._before_unknown(end, items)
        return self._attempt(end, items)

    def _attempt(self, end: int, items: Sequence[Item]) -> int:
        """Apply and commit; less and less of the page, until what fails is one event alone."""
        condemned: dict[int, Exception] = {}
        collisions = 0
        while True:
            try:
                return self._commit(end, self._fold(items, condemned))
            except COLLIDED as error:
                collisions += 1
                if collisions < ATTEMPTS:
                    pause = FIRST_PAUSE * 2 ** (collisions - 1) * random.uniform(0.5, 1.5)  # noqa: S311 - so that no two keep step
                    log.warning("posting_collided", projection=self._projection.name)
                    time.sleep(pause)
                    continue
                failure: Exception = error
            except UNFIT as error:
                failure = error
            if condemned or not items:
                raise failure  # it is not this event's values
            if len(items) == 1:
                condemned[items[0].position] = failure
            else:
                items = items[: len(items) // 2]
                end = items[-1].position

    def _fold(self, items: Sequence[Item], condemned: Condemned) -> Folded:
        folded = fold(
            self._connection,
            self._projection,
            self._group,
            items,
            side=self._side,
            condemned=condemned,
        )
        failing = len(folded.failing) + sum(len(one.parked) for one in self._group)
        if failing > MOST_FAILING_KEYS and folded.failing:
            reason = f"TOO_MANY_FAILURES: {failing} keys wait; last {folded.failing[-1].error}"
            raise ProjectionFailed(self._projection, reason)
        return folded

    def _commit(self, end: int, folded: Folded) -> int:
        """Write rows and checkpoint, both or neither; in one round trip unless rows are copied."""
        tokens = [one.token for one in self._group]
        try:
            at_once = nullcontext() if folded.new else self._connection.pipeline()
            with at_once, self._connection.transaction():
                move = [*self.where, self.partitions, tokens, self._after, end]
                self._connection.execute(MOVE, move, prepare=True)
                write(self._connection, self.where, folded)
        except Error as error:
            if error.sqlstate == FENCED:
                raise LeaseLost(str(error)) from error
            raise
        for one in self._group:
            one.position, one.deaths = end, 0
            one.parked |= {f.key for f in folded.failing if f.partition == one.partition}
            if end >= one.careful_until:
                one.crashes = 0
        for failing in folded.failing:
            log.error(
                "event_parked",
                projection=self._projection.name,
                key=failing.key,
                position=failing.position,
                error=failing.error,
            )
        return end - self._after

    def _before_unknown(self, end: int, items: list[Item]) -> tuple[int, list[Item]]:
        """Cut a page off before an event of a newer release; `ProjectionFailed` if it is next."""
        for number, item in enumerate(items):
            if isinstance(item, Unread) and isinstance(item.error, UnknownEvent):
                if item.position == self._after + 1:
                    reason = f"UNKNOWN_EVENT: {item.error}"
                    raise ProjectionFailed(self._projection, reason)
                return item.position - 1, items[:number]
        return end, items

    def _post_carefully(self, upto: int) -> int:
        """Post one event alone, after noting that it is being tried: workers have died here."""
        if not news(self._connection, self._after):
            return 0
        rehearse = partial(self._rehearse, upto)
        with on_the_try(self._connection, self.where, self._group, rehearse) as verdict:
            end, items = self._pages.next(self._connection, self._projection, self._after, upto)
            end, items = self._before_unknown(end, items)
            if verdict is None or not items:
                return self._attempt(end, items)
            return self._commit(end, self._fold(items, {items[0].position: verdict}))

    def _rehearse(self, upto: int) -> None:
        """Apply one event over a connection of its own, and undo it."""
        info = self._connection.info
        with Connection.connect(info.dsn, password=info.password or None) as apart:
            _, items = self._pages.next(apart, self._projection, self._after, upto)
            folded = fold(apart, self._projection, self._group, items, side=self._side)
            write(apart, self.where, folded)
            apart.rollback()
