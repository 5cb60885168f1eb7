"""Recording what a projection of the eventsourcing package wrote together with its checkpoint."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID, uuid4

from eventsourcing.persistence import ProcessRecorder, StoredEvent, Tracking
from psycopg import Connection
from psycopg.rows import TupleRow

from event_store.recorders.datastore import Datastore
from event_store.recorders.foreign_append import append, positions
from event_store.recorders.foreign_events import ForeignCommand
from event_store.recorders.recorder import LogRecorder
from event_store.recorders.tracking_recorder import LogTrackingRecorder


class LogProcessRecorder(LogTrackingRecorder, LogRecorder, ProcessRecorder):
    """A `LogRecorder` whose inserts move a checkpoint too, both or neither."""

    def __init__(
        self, datastore: Datastore, application: str = "", *, own_only: bool = False
    ) -> None:
        LogTrackingRecorder.__init__(self, datastore, application)
        LogRecorder.__init__(self, datastore, application, own_only=own_only)

    def insert_events(
        self, stored_events: Sequence[StoredEvent], **kwargs: Any
    ) -> Sequence[int] | None:
        """Append as `LogRecorder` does, with `tracking` as `insert_tracking` does."""
        tracking: Tracking | None = kwargs.get("tracking")
        if tracking is None:
            return super().insert_events(stored_events)
        if not stored_events:
            self.insert_tracking(tracking)
            return []
        command, token = self._command_of(stored_events), uuid4()
        last = self._datastore.run(lambda lent: self._both(lent, tracking, token, command))
        return positions(command, last)

    def _both(
        self,
        connection: Connection[TupleRow],
        tracking: Tracking,
        token: UUID,
        command: ForeignCommand,
    ) -> int:
        with connection.transaction():
            self._track(connection, tracking, token)
            return append(connection, command)
