"""The log as an `ApplicationRecorder` of the eventsourcing package: insert, select, subscribe."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from eventsourcing.persistence import (
    ApplicationRecorder,
    Notification,
    ProgrammingError,
    StoredEvent,
)
from psycopg import Connection
from psycopg.rows import TupleRow

from event_store import reading
from event_store.recorders.datastore import Datastore
from event_store.recorders.foreign_append import append, positions
from event_store.recorders.foreign_events import (
    ForeignCommand,
    checked,
    command_of,
    stream_id_of,
    stream_types,
    to_state,
)
from event_store.recorders.subscription import LogSubscription

WINDOW = 20_000
ENDLESS = 2**40
INSERT_EVENTS = "insert_events"

# As in the partial index events_of_applications: written out, or it would not serve the queries.
OWN = " and stream_type like 'eventsourcing%%' and stream_type = any(%(types)b)"
VERSION = "version - (stream_type like 'eventsourcing@0:%%')::int"

# The index knows nothing of the program's own count, so its conditions are said in both.
STREAM = f"""
select stream_id, {VERSION}, name, data::text from events
 where stream_id = %(stream_id)b and version > %(gt)b and version <= %(lte)b::bigint + 1
   and {VERSION} > %(gt)b and {VERSION} <= %(lte)b
"""  # noqa: S608 - our own names

PAGE = f"""
select stream_id, {VERSION}, name, data::text, position from events
 where position > %(after)b and position <= %(upto)b
   and (cardinality(%(topics)b::text[]) = 0 or name = any(%(topics)b))
"""  # noqa: S608 - our own names

NEWEST = "select max(position) from events where true"

TYPES = """
select stream_id, stream_type from events where stream_id = any(%b::uuid[]) and version = 1
"""


class LogRecorder(ApplicationRecorder):
    """Records the events of one application, and reads these or the whole log."""

    def __init__(
        self,
        datastore: Datastore,
        application: str = "",
        *,
        own_only: bool = False,
        command: str = INSERT_EVENTS,
    ) -> None:
        """`own_only`: read nothing but the application's events; `command` is for the audit."""
        self._datastore = datastore
        self._application = application
        self._types = stream_types(application)
        self._own = OWN if own_only else ""
        self._command = command

    def insert_events(
        self, stored_events: Sequence[StoredEvent], **kwargs: Any
    ) -> Sequence[int] | None:
        """Append events of any streams as one command; return their positions in the log.

        Raises `IntegrityError` if a stream is not at the version before, `NotSupportedError` for
        what the log does not take: names of Daybook's own events, ids that are not UUIDs.
        """
        if kwargs.get("tracking") is not None:
            raise ProgrammingError("This recorder keeps no tracking: use a process recorder.")
        if not stored_events:
            return []
        command = self._command_of(stored_events)
        return positions(command, self._datastore.run(lambda lent: append(lent, command)))

    def select_events(
        self,
        originator_id: UUID | str,
        *,
        gt: int | None = None,
        lte: int | None = None,
        desc: bool = False,
        limit: int | None = None,
    ) -> Sequence[StoredEvent]:
        """Return events of one stream, by version."""
        order = "desc" if desc else "asc"
        query = f"{STREAM}{self._own} order by version {order} limit %(limit)b"
        values = {
            "stream_id": stream_id_of(originator_id),
            "gt": -1 if gt is None else gt,
            "lte": ENDLESS if lte is None else lte,
            "limit": limit,
            "types": self._types,
        }
        return [
            StoredEvent(stream_id, version, topic, to_state(data))
            for stream_id, version, topic, data in self._rows(query, values)
        ]

    def select_notifications(
        self,
        start: int | None,
        limit: int,
        stop: int | None = None,
        topics: Sequence[str] = (),
        *,
        inclusive_of_start: bool = True,
    ) -> Sequence[Notification]:
        """Return events by position, the ends included, at most `limit`."""
        after = 0 if start is None else start - inclusive_of_start
        found: list[Notification] = []
        while len(found) < limit:
            page, reached = self.page(after, limit - len(found), topics, stop)
            found += page
            if reached <= after:
                break
            after = reached
        return found

    def page(
        self, after: int, limit: int, topics: Sequence[str] = (), stop: int | None = None
    ) -> tuple[list[Notification], int]:
        """Return the next events, perhaps none, and the position up to which the log was read.

        That is `after` itself at the end of the log. No event is passed that is still to come.
        """
        return self._datastore.run(lambda lent: self._page(lent, after, limit, topics, stop))

    def max_notification_id(self) -> int | None:
        """Return the newest position, None if nothing has been recorded."""
        [(newest,)] = self._rows(NEWEST + self._own, {"types": self._types})
        return None if newest is None else int(newest)

    def subscribe(self, gt: int | None = None, topics: Sequence[str] = ()) -> "LogSubscription":
        """Follow the log from a position on."""
        return LogSubscription(self, gt, topics)

    def _rows(self, query: str, values: dict[str, Any]) -> list[TupleRow]:
        return self._datastore.run(lambda lent: rows(lent, query, values))

    def _page(
        self,
        connection: Connection[TupleRow],
        after: int,
        limit: int,
        topics: Sequence[str],
        stop: int | None,
    ) -> tuple[list[Notification], int]:
        end = reading.head(connection)
        if stop is not None:
            end = min(end, stop)
        if end <= after:
            return [], after
        upto = min(end, after + (WINDOW if topics or self._own else limit))
        query = f"{PAGE}{self._own} order by position limit %(limit)b"
        values = {"after": after, "upto": upto, "topics": list(topics), "types": self._types}
        page = [notification(row) for row in rows(connection, query, {**values, "limit": limit})]
        return page, page[-1].id if len(page) == limit else upto

    def _command_of(self, stored_events: Sequence[StoredEvent]) -> ForeignCommand:
        # What begins at 0 is new, or refused; for the others it is asked how the stream counts.
        asked = {checked(event) for event in stored_events if event.originator_version != 0}
        found = self._datastore.run(lambda lent: lent.execute(TYPES, [list(asked)]).fetchall())
        return command_of(stored_events, dict(found), self._application, self._command)


def rows(connection: Connection[TupleRow], query: str, values: dict[str, Any]) -> list[TupleRow]:
    """Ask for rows; the query is put together from this file's own pieces."""
    return connection.execute(query.encode(), values, prepare=True).fetchall()


def notification(row: TupleRow) -> Notification:
    """Make the package's form of an event of a page."""
    stream_id, version, topic, data, position = row
    return Notification(stream_id, version, topic, to_state(data), position)
