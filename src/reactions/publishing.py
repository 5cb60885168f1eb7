"""From the log to the stream of integration events: pages, in order, each at least once.

The stream is kept as the log says: what Redis has lost of it is published again.
"""

from psycopg import Connection
from psycopg.rows import TupleRow

from event_store import reading
from event_store.event_types import UnknownEvent, UnreadableEvent
from event_store.records import Recorded
from reactions import checkpoints
from reactions.event_stream import KEY, EventStream, Last
from reactions.integration_events import EVENT_NAMES, NAME, entry_of
from reactions.reaction import Outage

PAGE = 500
LONGEST_PAUSE = 2  # Redis comes back at any moment, and nobody is written to twice

IDENTITY = "select stream_id, version from events where position = %s"

# The last that must be there, and from where on it is made again.
EXPECTED = """
select coalesce(max(position), 0) from (
    select position from events
     where name = any(%(names)s::text[]) and position > %(began)s and position <= %(upto)s
     order by position desc limit 1
) newest
"""
OLDEST = """
select coalesce(min(position) - 1, 0) from (
    select position from events
     where name = any(%(names)s::text[]) and position > %(began)s and position <= %(upto)s
     order by position desc limit %(keeps)s
) kept
"""
BEGAN = "select began from reaction_checkpoints where name = %s"


class Publisher:
    """Publishes what happens; `published` is the last position that it has put there itself."""

    def __init__(self, stream: EventStream) -> None:
        self._stream = stream
        self._published = -1

    def publish(self, connection: Connection[TupleRow]) -> int:
        """Publish what is not in the stream yet; return how many positions were passed.

        Returns 0 at once if another worker is at it, or while nothing can be done.
        """
        passed = 0
        while self._is_due(connection) and (step := self._publish_page(connection)):
            passed += step
        return passed

    def close(self) -> None:
        """Hang up."""
        self._stream.close()

    def _is_due(self, connection: Connection[TupleRow]) -> bool:
        """Look, without any lock, whether there is news, or the stream is not as we left it."""
        behind, _ = checkpoints.news(connection, NAME)
        try:
            return behind or position_of(self._stream.last()) != self._published
        except Outage:
            return behind

    def _publish_page(self, connection: Connection[TupleRow]) -> int:
        with connection.transaction():
            after = checkpoints.take(connection, NAME)
            if after is None:
                return 0
            try:
                after = self._mended(connection, after)
                upto, page = next_page(connection, after)
                if page:
                    self._stream.add((one.position, entry_of(one)) for one in page)
                    self._published = page[-1].position
            except (Outage, UnknownEvent, UnreadableEvent) as trouble:
                self._published = -1
                outage = trouble if isinstance(trouble, Outage) else Outage(str(trouble))
                checkpoints.hold(connection, NAME, outage, longest=LONGEST_PAUSE)
                return 0
            if upto > after:
                checkpoints.move(connection, NAME, upto)
            return upto - after

    def _mended(self, connection: Connection[TupleRow], after: int) -> int:
        """Return from where on to publish: where we are, or earlier if Redis has lost something."""
        last = self._stream.last()
        known = position_of(last)
        if known == self._published:
            return after
        if last is not None:
            check_is_ours(connection, last)
        row = connection.execute(BEGAN, [NAME]).fetchone()
        values = {"names": EVENT_NAMES, "began": row and row[0], "upto": after}
        expected = number(connection, EXPECTED, values)
        if known >= expected:
            self._published = known
            return after
        oldest = number(connection, OLDEST, values | {"keeps": self._stream.keeps})
        return max(known, oldest)


def position_of(last: Last | None) -> int:
    """Return the position of the stream's last entry, 0 if it has none."""
    return last.position if last else 0


def next_page(connection: Connection[TupleRow], after: int) -> tuple[int, list[Recorded]]:
    """Return the next events to publish and where they end, which is before any unknown one."""
    upto = min(reading.head(connection), after + PAGE)
    try:
        return upto, reading.page(connection, after, upto, EVENT_NAMES, None)
    except UnknownEvent as unknown:
        if unknown.position is None or unknown.position <= after + 1:
            raise
        upto = unknown.position - 1
        return upto, reading.page(connection, after, upto, EVENT_NAMES, None)


def check_is_ours(connection: Connection[TupleRow], last: Last) -> None:
    """Raise `Outage` if the stream was filled from another log, or from one that was set back."""
    row = connection.execute(IDENTITY, [last.position]).fetchone()
    if row is None or tuple(row) != last[1:]:
        raise Outage(
            f"The Redis stream {KEY} ends with an event that this log does not have at position "
            f"{last.position}: it belongs to another log. Rename or delete it, and it is made anew."
        )


def number(connection: Connection[TupleRow], query: str, values: dict[str, object]) -> int:
    """Return the one number that a query asks for."""
    row = connection.execute(query, values).fetchone()
    assert row is not None  # noqa: S101 - an aggregate is a row
    return int(row[0])
