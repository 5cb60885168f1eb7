"""Pages of the log, read and decoded once for all the views of a process that are in step."""

import threading
from collections import OrderedDict
from collections.abc import Iterable

from psycopg import Connection
from psycopg.rows import TupleRow

from event_store import reading
from event_store.privacy.keyring import NO_KEYS, Keyring
from event_store.reading import Unread
from event_store.records import Recorded
from projections.projection import Projection

PAGE = 2_000
PAGES_KEPT = 3
ADDED_UP = 2_000  # so many events, where they are sums, are cheaper added up by Postgres
SHARING_SECONDS = 0.5

Item = Recorded | Unread
Read = tuple[int, list[Item]]


class Pages:
    """Pages of the log, the last few kept, so that projections in step share the reading.

    Reading and decoding cost more than most folds; events are immutable, so threads may share them.
    """

    def __init__(self, projections: Iterable[Projection], keys: Keyring = NO_KEYS) -> None:
        """Only events that one of the projections listens to are read."""
        self._keys = keys
        self._names = sorted({name for one in projections for name in one.event_names})
        self._kept: OrderedDict[int, Read] = OrderedDict()
        self._lock = threading.Lock()
        self.head = 0  # where the log was seen to end when there was last much to read

    def others(
        self, connection: Connection[TupleRow], projection: Projection, after: int, upto: int
    ) -> list[Item]:
        """Return the events in (after, upto] that a projection does not add up but listens to."""
        if not projection.other_names:
            return []
        most = upto - after + 1
        names = projection.other_names
        return reading.page_from(connection, after, upto, names, most, self._keys)[1]

    def read(
        self, connection: Connection[TupleRow], projection: Projection, after: int, upto: int
    ) -> Read:
        """Return the events in (after, upto] that a projection listens to, and where they end.

        A reading that takes long keeps nobody else waiting: then a projection reads for itself.
        """
        if self._lock.acquire(timeout=SHARING_SECONDS):
            try:
                end, page = self._shared(connection, after, upto)
            finally:
                self._lock.release()
            return end, [one for one in page if concerns(projection, one)]
        names, most = projection.event_names, upto - after + 1
        return reading.page_from(connection, after, upto, names, most, self._keys)

    def next(
        self, connection: Connection[TupleRow], projection: Projection, after: int, upto: int
    ) -> Read:
        """Return the first event in (after, upto] that a projection listens to, and no other."""
        return reading.page_from(connection, after, upto, projection.event_names, 1, self._keys)

    def _shared(self, connection: Connection[TupleRow], after: int, upto: int) -> Read:
        kept = self._kept.get(after)
        if kept is not None and kept[0] <= upto:
            return kept
        most = upto - after + 1
        read = reading.page_from(connection, after, upto, self._names, most, self._keys)
        if read[0] - after >= ADDED_UP:
            self.head = reading.head(connection)
        if read[0] > after:
            self._kept[after] = read
            if len(self._kept) > PAGES_KEPT:
                self._kept.popitem(last=False)
        return read


def concerns(projection: Projection, item: Item) -> bool:
    """Tell whether a projection listens to what was read."""
    if isinstance(item, Unread):
        return item.name in projection.event_names
    return type(item.event) in projection.event_types
