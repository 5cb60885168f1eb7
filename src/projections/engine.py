"""The road from the log to a view: a page of events and the checkpoint, in one transaction."""

import threading
import time
from collections import OrderedDict, defaultdict
from collections.abc import Iterable, Sequence

import structlog
from psycopg import Connection, errors
from psycopg.rows import TupleRow
from sqlalchemy import Table

from event_store import reading
from event_store.event_types import UnknownEvent, UnreadableEvent
from event_store.privacy.keyring import NO_KEYS, Keyring
from event_store.records import Recorded
from projections.progress import tell
from projections.projection import Key, Projection, Rows, fold_page
from projections.row_sql import read_rows, write_rows

PAGE = 2_000
PAGES_KEPT = 3
# Events that come in a flood are cheaper by the page: so many at once, and the next page may grow.
MANY = 150
LINGER_SECONDS = 0.2
SHARING_SECONDS = 0.5

log = structlog.get_logger(__name__)

BEHIND = """
select h.position - c.position from log_head h, projection_checkpoints c
 where c.name = %s and c.version = %s
"""

# The row lock is the lease: it ends with the transaction, whatever becomes of the worker. A frozen
# worker is ended by the server's idle_in_transaction_session_timeout and can then write nothing.
TAKE = """
select position from projection_checkpoints
 where name = %s and version = %s for update skip locked
"""

MOVE = """
update projection_checkpoints
   set position = %s, moved_at = clock_timestamp(), failure = null
 where name = %s and version = %s and position = %s
"""

FAILED = """
update projection_checkpoints set failure = %s, failed_at = clock_timestamp()
 where name = %s and version = %s and failure is distinct from %s
"""


class ProjectionFailed(Exception):  # noqa: N818 - reads as what happened
    """A page of events could not be applied; nothing of it was."""

    def __init__(self, projection: Projection, reason: str) -> None:
        self.projection, self.reason = projection, reason
        super().__init__(f"Projection {projection.name} stands still: {reason}")


class Pages:
    """Pages of the log, the last few kept, so that projections in step share the reading.

    Reading and decoding cost more than most folds; events are immutable, so threads may share them.
    """

    def __init__(self, projections: Iterable[Projection], keys: Keyring = NO_KEYS) -> None:
        """Only events that one of the projections listens to are read."""
        self._names = sorted({name for one in projections for name in one.event_names})
        self._keys = keys
        self._kept: OrderedDict[tuple[int, int], list[Recorded]] = OrderedDict()
        self._lock = threading.Lock()

    def read(
        self, connection: Connection[TupleRow], projection: Projection, after: int, upto: int
    ) -> list[Recorded]:
        """Return the events at positions in (after, upto] that a projection listens to, in order.

        An event that cannot be read concerns only those who listen to it, and a reading that takes
        long keeps nobody else waiting: then a projection reads for itself.
        """
        if self._lock.acquire(timeout=SHARING_SECONDS):
            try:
                page = self._shared(connection, after, upto)
                return [one for one in page if type(one.event) in projection.event_types]
            except (UnknownEvent, UnreadableEvent):
                pass
            finally:
                self._lock.release()
        return reading.page(connection, after, upto, projection.event_names, self._keys)

    def _shared(self, connection: Connection[TupleRow], after: int, upto: int) -> list[Recorded]:
        page = self._kept.get((after, upto))
        if page is None:
            page = reading.page(connection, after, upto, self._names, self._keys)
            self._kept[after, upto] = page
            if len(self._kept) > PAGES_KEPT:
                self._kept.popitem(last=False)
        return page


def catch_up(connection: Connection[TupleRow], projection: Projection, pages: Pages) -> int:
    """Post the log to a view up to its end; return how far the view has come in this call.

    Returns at once if another worker is at it. Whoever is at it looks at the log's end again after
    each commit, so news that arrives in between is never left to lie.
    """
    posted = 0
    while behind(connection, projection) > 0:
        step = post_page(connection, projection, pages)
        if step == 0:
            break
        tell(connection, projection)
        posted += step
        if MANY <= step < PAGE:
            time.sleep(LINGER_SECONDS)
    return posted


def behind(connection: Connection[TupleRow], projection: Projection) -> int:
    """Return by how many events a view is behind the log."""
    row = connection.execute(BEHIND, [projection.name, projection.version], prepare=True).fetchone()
    if row is None:
        message = f"There is no checkpoint of {projection.name} version {projection.version}."
        raise LookupError(message)
    return int(row[0])


def post_page(connection: Connection[TupleRow], projection: Projection, pages: Pages) -> int:
    """Apply the next page and move the checkpoint, both or neither; return the positions passed.

    Raises `ProjectionFailed`, and notes why beside the checkpoint for the operator to see.
    """
    key = [projection.name, projection.version]
    try:
        with connection.transaction():
            row = connection.execute(TAKE, key, prepare=True).fetchone()
            if row is None:
                return 0
            upto = apply_page(connection, projection, row[0], pages)
            moved = connection.execute(MOVE, [upto, *key, row[0]], prepare=True)
            assert moved.rowcount == 1  # noqa: S101 - the row is locked
            return upto - int(row[0])
    except (errors.OperationalError, errors.InterfaceError):
        raise
    except Exception as error:
        reason = f"{kind_of(error)}: {error}"[:2_000]
        log.exception("projection_failed", projection=projection.name)
        connection.execute(FAILED, [reason, *key, reason])
        raise ProjectionFailed(projection, reason) from error


def apply_page(
    connection: Connection[TupleRow], projection: Projection, after: int, pages: Pages
) -> int:
    """Fold the events of the next page into the tables; return the position it ends at."""
    upto, page = next_page(connection, projection, after, pages)
    if page:
        rows = fold_page(projection, rows_for(connection, projection, page), page)
        for table, changed in rows.written():
            write_rows(connection, table, changed)
    return upto


def next_page(
    connection: Connection[TupleRow], projection: Projection, after: int, pages: Pages
) -> tuple[int, list[Recorded]]:
    """Return the next page and the position it ends at, which is before any unknown event.

    Raises `UnknownEvent` if that is the very next one: the view waits there for a newer release.
    """
    upto = min(reading.head(connection), after + PAGE)
    try:
        return upto, pages.read(connection, projection, after, upto)
    except UnknownEvent as unknown:
        if unknown.position is None or unknown.position <= after + 1:
            raise
        upto = unknown.position - 1
        return upto, pages.read(connection, projection, after, upto)


def kind_of(error: Exception) -> str:
    """Return the word that a reason begins with."""
    return "UNKNOWN_EVENT" if isinstance(error, UnknownEvent) else type(error).__name__


def rows_for(
    connection: Connection[TupleRow], projection: Projection, page: Sequence[Recorded]
) -> Rows:
    """Read all rows that the events of a page need, one statement a table."""
    wanted: dict[Table, set[Key]] = defaultdict(set)
    for event in page:
        for table, key in projection.needs(event):
            wanted[table].add(key)
    rows = Rows()
    for table, keys in wanted.items():
        rows.load(table, read_rows(connection, table, keys))
    return rows
