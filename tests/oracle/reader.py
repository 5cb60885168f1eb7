"""A reader process: it follows the log as projections do, and looks closely at what comes."""

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from multiprocessing import parent_process
from uuid import UUID

import msgspec
import psycopg
from psycopg import Connection
from psycopg.rows import TupleRow

from event_store.connections import connect
from event_store.event_types import STORED_AS
from event_store.reading import head, page, recorded
from event_store.records import Recorded
from tests.oracle.plan import Post
from tests.oracle.seen import Seen

PAGE = 2_000
IDLE_SECONDS = 0.003
NAMES = sorted({name for name, _ in STORED_AS})
LOST = (psycopg.OperationalError, psycopg.InterfaceError)

# Nothing but the order of positions, no look at the head: the promise is that this suffices.
ONWARDS = """
select position, stream_id, version, name, schema_version, data::text, occurred_at, recorded_at
  from events where position > %b::bigint order by position limit %b
"""

Page = Callable[[Connection[TupleRow], int], Sequence[Recorded]]


def read(post: Post) -> None:
    """Follow the log to the last position and leave what was seen in a file."""
    following = up_to_head if post.number % 2 == 0 and post.plan.recorder == "daybook" else onwards
    checks = Checks()
    while not over(post, checks.seen):
        try:
            with connect(post.database_url, name="oracle reader") as connection:
                follow(post, checks, lambda after: following(connection, after))
        except LOST:
            checks.seen.reconnected += 1
            time.sleep(0.05)
    leave(post, checks.seen)


def follow(post: Post, checks: "Checks", following: Callable[[int], Sequence[Recorded]]) -> None:
    """Read page after page; look again soon where there is none."""
    while not over(post, checks.seen):
        events = following(checks.seen.last)
        for event in events:
            checks.look_at(event)
        post.board.reached[post.number] = checks.seen.last
        if not events:
            time.sleep(IDLE_SECONDS)


def up_to_head(connection: Connection[TupleRow], after: int) -> Sequence[Recorded]:
    """Return the next page as projections read it: up to the head, at most so many positions."""
    upto = min(head(connection), after + PAGE)
    return page(connection, after, upto, NAMES) if upto > after else []


def onwards(connection: Connection[TupleRow], after: int) -> Sequence[Recorded]:
    """Return whatever comes after a position."""
    rows = connection.execute(ONWARDS, [after, PAGE], prepare=True).fetchall()
    return [recorded(row) for row in rows]


def over(post: Post, seen: Seen) -> bool:
    """Tell whether everything has been read, or the run has died."""
    parent = parent_process()
    reached = post.board.last is not None and seen.last >= post.board.last
    return reached or parent is None or not parent.is_alive()


def leave(post: Post, seen: Seen) -> None:
    """Leave what was seen where the judge finds it."""
    (post.folder / f"seen-{post.number}").write_bytes(msgspec.json.encode(seen))


class Checks:
    """What must hold from one event to the next."""

    def __init__(self) -> None:
        self.seen = Seen()
        self._versions: dict[UUID, int] = {}
        self._recorded_at = datetime.min.replace(tzinfo=UTC)

    def look_at(self, event: Recorded) -> None:
        """Check an event against all before it."""
        self.seen.add(event.position)
        before = self._versions.get(event.stream_id, 0)
        if event.version != before + 1:
            self.seen.complain(f"{event.stream_id}: version {event.version} came after {before}")
        self._versions[event.stream_id] = event.version
        if event.recorded_at < self._recorded_at:
            self.seen.complain(f"position {event.position} was recorded before its predecessor")
        self._recorded_at = event.recorded_at
