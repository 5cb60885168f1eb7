"""The eventsourcing package's own test cases, unchanged, on Daybook's log."""

from typing import Any, ClassVar
from unittest import TestCase

import pytest
from eventsourcing.persistence import Tracking
from eventsourcing.tests import persistence, projection
from eventsourcing.utils import Environment

from event_store.recorders.datastore import Datastore
from event_store.recorders.persistence import DaybookFactory
from event_store.recorders.process_recorder import LogProcessRecorder
from event_store.recorders.recorder import LogRecorder
from event_store.recorders.tracking_recorder import LogTrackingRecorder


class OnTheLog(TestCase):
    """Gives each test a database of its own, and hangs up after it."""

    @pytest.fixture(autouse=True)
    def _log(self, database_url: str) -> Any:
        self.database_url = database_url
        self.datastore = Datastore(database_url)
        yield
        self.datastore.close()

    def environment(self, name: str = "") -> Environment:
        variables = {
            "PERSISTENCE_MODULE": "event_store.recorders.persistence",
            "DAYBOOK_DATABASE_URL": self.database_url,
        }
        return Environment(name, variables)


class TestApplicationRecorder(OnTheLog, persistence.ApplicationRecorderTestCase[LogRecorder]):
    def create_recorder(self) -> LogRecorder:
        return LogRecorder(self.datastore)

    def test_insert_subscribe(self) -> None:
        self.optional_test_insert_subscribe()


class TestApplicationRecorderOfOneApplication(TestApplicationRecorder):
    def create_recorder(self) -> LogRecorder:
        return LogRecorder(self.datastore, "Shop", own_only=True)


class TestNonInterleavingNotificationIDs(
    OnTheLog, persistence.NonInterleavingNotificationIDsBaseCase
):
    def create_recorder(self) -> LogRecorder:
        return LogRecorder(self.datastore)


class TestTrackingRecorder(OnTheLog, persistence.TrackingRecorderTestCase):
    def create_recorder(self) -> LogTrackingRecorder:
        return LogTrackingRecorder(self.datastore)


class TestProcessRecorder(OnTheLog, persistence.ProcessRecorderTestCase):
    def create_recorder(self) -> LogProcessRecorder:
        return LogProcessRecorder(self.datastore)


class TestProcessRecorderAsApplicationRecorder(TestApplicationRecorder):
    def create_recorder(self) -> LogRecorder:
        return LogProcessRecorder(self.datastore)


class SpecialTracking(LogTrackingRecorder):
    """A kind of tracking recorder that somebody derived."""


class TestFactory(OnTheLog, persistence.InfrastructureFactoryTestCase[DaybookFactory]):
    def setUp(self) -> None:
        self.env = self.environment()
        super().setUp()

    def expected_factory_class(self) -> type[DaybookFactory]:
        return DaybookFactory

    def expected_aggregate_recorder_class(self) -> type[LogRecorder]:
        return LogRecorder

    def expected_application_recorder_class(self) -> type[LogRecorder]:
        return LogRecorder

    def expected_tracking_recorder_class(self) -> type[LogTrackingRecorder]:
        return LogTrackingRecorder

    def tracking_recorder_subclass(self) -> type[LogTrackingRecorder]:
        return SpecialTracking

    def expected_process_recorder_class(self) -> type[LogProcessRecorder]:
        return LogProcessRecorder


class EventCounters(LogTrackingRecorder, projection.EventCountersView):
    """A view with a table of its own, written together with the checkpoint."""

    def get_created_event_counter(self) -> int:
        return self._count("created")

    def get_subsequent_event_counter(self) -> int:
        return self._count("subsequent")

    def incr_created_event_counter(self, tracking: Tracking) -> None:
        self._increment("created", tracking)

    def incr_subsequent_event_counter(self, tracking: Tracking) -> None:
        self._increment("subsequent", tracking)

    def _count(self, kind: str) -> int:
        query = "select coalesce(sum(events), 0) from event_counters where kind = %s"
        with self.connection() as connection:
            return int(connection.execute(query, [kind]).fetchall()[0][0])

    def _increment(self, kind: str, tracking: Tracking) -> None:
        query = """
            insert into event_counters as c (kind, events) values (%s, 1)
                on conflict (kind) do update set events = c.events + 1
        """
        with self.tracked(tracking) as connection:
            connection.execute(query, [kind])


class CountingOnTheLog(OnTheLog):
    """Makes the counters' table and an environment for runners."""

    env: ClassVar[dict[str, str]] = {}

    def setUp(self) -> None:
        table = "create table event_counters (kind text primary key, events int not null)"
        with self.datastore.connection() as connection:
            connection.execute(table)
        type(self).env = dict(self.environment())


class TestEventCountersView(CountingOnTheLog, projection.EventCountersViewTestCase):
    def construct_event_counters_view(self) -> EventCounters:
        return EventCounters(self.datastore)


class TestProjection(CountingOnTheLog, projection.AggregateEventCountersProjectionTestCase):
    view_class = EventCounters


class TestEventSourcedProjection(CountingOnTheLog, projection.EventSourcedProjectionTestCase):
    pass
