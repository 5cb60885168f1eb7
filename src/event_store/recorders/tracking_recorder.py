"""Checkpoints of the eventsourcing package's projections: how far each has read."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from uuid import UUID, uuid4

from eventsourcing.persistence import IntegrityError, Tracking, TrackingRecorder
from psycopg import Connection
from psycopg.rows import TupleRow

from event_store.recorders.datastore import Datastore

# The token lets one call be repeated after an answer was lost, and no other pass for it.
TRACK = """
insert into trackings as t (tracker, application_name, notification_id, token)
values (%b, %b, %b, %b)
    on conflict (tracker, application_name) do update
   set notification_id = excluded.notification_id, token = excluded.token,
       moved_at = clock_timestamp()
 where t.notification_id < excluded.notification_id or t.token = excluded.token
"""

REACHED = "select notification_id from trackings where tracker = %b and application_name = %b"


class LogTrackingRecorder(TrackingRecorder):
    """Keeps checkpoints under a name of its own; derive a view from it that has tables too."""

    def __init__(self, datastore: Datastore, tracker: str = "") -> None:
        """`tracker` is the name of the projection."""
        self._datastore = datastore
        self._tracker = tracker

    def insert_tracking(self, tracking: Tracking) -> None:
        """Move a checkpoint; `IntegrityError` if it is there or further already."""
        token = uuid4()
        self._datastore.run(lambda lent: self._track(lent, tracking, token))

    def max_tracking_id(self, application_name: str) -> int | None:
        """Return how far the named application has been read, None if not at all."""
        key = [self._tracker, application_name]
        row = self._datastore.run(lambda lent: lent.execute(REACHED, key, prepare=True).fetchone())
        return None if row is None else int(row[0])

    def connection(self) -> AbstractContextManager[Connection[TupleRow]]:
        """Lend a connection in autocommit, for 5 seconds: for what a view is asked."""
        return self._datastore.connection()

    @contextmanager
    def tracked(self, tracking: Tracking) -> Iterator[Connection[TupleRow]]:
        """Open a transaction that moves a checkpoint, and with it does what the block writes.

        It has 5 seconds. Raises `IntegrityError`, before the block, as `insert_tracking` does.
        """
        with self.connection() as connection, connection.transaction():
            self._track(connection, tracking, uuid4())
            yield connection

    def _track(self, connection: Connection[TupleRow], tracking: Tracking, token: UUID) -> None:
        values = [self._tracker, tracking.application_name, tracking.notification_id, token]
        if connection.execute(TRACK, values, prepare=True).rowcount == 0:
            raise IntegrityError(
                f"{self._tracker or 'The tracker'} has been at {tracking.notification_id} of "
                f"{tracking.application_name or 'the log'} already."
            )
