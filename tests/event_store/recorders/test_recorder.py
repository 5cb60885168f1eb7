"""The recorder's own promises: what it writes, what it refuses, what it reads, and of whom."""

from collections.abc import Iterator, Sequence
from uuid import UUID, uuid4

import pytest
from eventsourcing.persistence import (
    DataError,
    IntegrityError,
    InterfaceError,
    NotSupportedError,
    OperationalError,
    ProgrammingError,
    StoredEvent,
    Tracking,
)

from event_store.connections import connect
from event_store.event_types import encode
from event_store.reading import page
from event_store.recorders.datastore import Datastore
from event_store.recorders.process_recorder import LogProcessRecorder
from event_store.recorders.recorder import LogRecorder
from projections.posting.engine import behind, catch_up
from projections.posting.pages import Pages
from projections.switched_on import PROJECTIONS
from tests.event_store.asynchronous import on_a_loop
from tests.event_store.given import NAMES, appending, change, command, note, rows

ONE, TWO, THREE = (UUID(int=number) for number in (1, 2, 3))
COUNT = "select count(*) from events"


@pytest.fixture
def datastore(database_url: str) -> Iterator[Datastore]:
    """Lend connections to the test's own database."""
    datastore = Datastore(database_url)
    yield datastore
    datastore.close()


def events(stream_id: UUID, *versions: int, state: bytes = b"{}") -> list[StoredEvent]:
    """Return events of another program."""
    return [StoredEvent(stream_id, version, "shop:Opened", state) for version in versions]


def versions_of(recorder: LogRecorder, stream_id: UUID, **bounds: object) -> list[int]:
    """Return the versions that a recorder selects of a stream."""
    selected: Sequence[StoredEvent] = recorder.select_events(stream_id, **bounds)
    return [event.originator_version for event in selected]


def test_a_command_is_filed_with_every_audit_column(
    datastore: Datastore, database_url: str
) -> None:
    recorder = LogRecorder(datastore, "Shop", command="open_shop")
    recorder.insert_events([StoredEvent(ONE, 1, "shop:Opened", b'{"name":"Shop","doors":2}')])
    query = """
        select position, stream_id, stream_type, version, name, schema_version, data,
               actor_id, actor_role, command, request_id = command_id::text,
               correlation_id = request_id, causation_id, occurred_at = recorded_at
          from events
    """
    stored = (1, ONE, "eventsourcing:Shop", 1, "shop:Opened", 1, {"name": "Shop", "doors": 2})
    audit = ("eventsourcing", "system", "open_shop", True, True, None, True)
    assert rows(database_url, query) == [(*stored, *audit)]


def test_one_call_is_one_command_in_the_order_given(
    datastore: Datastore, database_url: str
) -> None:
    given = [*events(ONE, 1), *events(TWO, 0, 1), *events(ONE, 2), *events(TWO, 2)]
    recorder = LogRecorder(datastore)
    assert recorder.insert_events(given) == [1, 2, 3, 4, 5]
    found = recorder.select_notifications(None, 9)
    assert [(e.originator_id, e.originator_version) for e in found] == [
        (e.originator_id, e.originator_version) for e in given
    ]
    assert rows(database_url, "select count(distinct command_id) from events") == [(1,)]


@pytest.mark.parametrize(
    "refused",
    [
        events(TWO, 1),
        events(TWO, 2),
        events(TWO, 4),
        events(TWO, 3, 5),
        events(TWO, 4, 3),
        events(TWO, 3, 3),
        events(TWO, 0),
        events(THREE, 2),
        events(THREE, -1),
    ],
)
def test_a_conflict_in_one_stream_leaves_nothing_in_any(
    datastore: Datastore, database_url: str, refused: list[StoredEvent]
) -> None:
    recorder = LogRecorder(datastore)
    recorder.insert_events(events(TWO, 1, 2))
    with pytest.raises(IntegrityError):
        recorder.insert_events([*events(ONE, 1), *refused])
    assert rows(database_url, COUNT) == [(2,)]
    assert recorder.insert_events(events(TWO, 3)) == [3]


def test_a_program_may_count_from_0_and_the_log_counts_from_1(
    datastore: Datastore, database_url: str
) -> None:
    recorder = LogRecorder(datastore)
    recorder.insert_events(events(ONE, 0))
    recorder.insert_events(events(ONE, 1, 2, 3))
    with pytest.raises(IntegrityError):
        recorder.insert_events(events(ONE, 5))
    recorder.insert_events(events(TWO, 1, 2, 3))
    query = "select version from events where stream_id = %s order by 1"
    assert rows(database_url, query, ONE) == [(1,), (2,), (3,), (4,)]
    assert versions_of(recorder, ONE) == [0, 1, 2, 3]
    assert versions_of(recorder, TWO) == [1, 2, 3]
    for stream_id in (ONE, TWO):
        assert versions_of(recorder, stream_id, gt=1) == [2, 3]
        assert versions_of(recorder, stream_id, gt=0, lte=2) == [1, 2]
        assert versions_of(recorder, stream_id, lte=2, desc=True, limit=1) == [2]
        assert versions_of(recorder, stream_id, lte=2**31 - 1, limit=2, gt=1) == [2, 3]


def test_nothing_to_insert_is_nothing_done(datastore: Datastore, database_url: str) -> None:
    assert LogRecorder(datastore).insert_events([]) == []
    assert rows(database_url, COUNT) == [(0,)]


@on_a_loop
async def test_daybooks_events_are_read_under_their_names(database_url: str) -> None:
    async with appending(database_url) as appender:
        await appender.append(command(change(ONE, 0, note("a"), note("b"))))
    datastore = Datastore(database_url)
    [first, second] = LogRecorder(datastore).select_notifications(1, 9)
    assert [first.id, first.originator_id, first.originator_version] == [1, ONE, 1]
    assert first.topic == second.topic == "order.note_added"
    assert second.state.replace(b" ", b"") == encode(note("b"))[2].encode()
    assert LogRecorder(datastore).select_events(ONE, gt=1)[0].state == second.state
    datastore.close()


@on_a_loop
async def test_daybooks_names_and_streams_are_not_written_by_other_programs(
    database_url: str,
) -> None:
    async with appending(database_url) as appender:
        await appender.append(command(change(ONE, 0, note())))
    datastore = Datastore(database_url)
    recorder = LogRecorder(datastore)
    with pytest.raises(NotSupportedError, match=r"order\.paid is Daybook's own"):
        recorder.insert_events([StoredEvent(TWO, 1, "order.paid", b"{}")])
    with pytest.raises(IntegrityError, match="belongs to another program: its type is order"):
        recorder.insert_events(events(ONE, 2))
    with pytest.raises(IntegrityError):
        recorder.insert_events(events(ONE, 0))
    assert rows(database_url, COUNT) == [(1,)]
    datastore.close()


@on_a_loop
async def test_daybooks_views_pass_the_events_of_other_programs(database_url: str) -> None:
    datastore = Datastore(database_url)
    LogRecorder(datastore).insert_events(events(ONE, 0, 1, 2, state=b"no JSON"))
    datastore.close()
    with connect(database_url, name="test") as connection:
        for projection in PROJECTIONS.values():
            assert catch_up(connection, projection, Pages([projection])) == 3
            assert behind(connection, projection) == 0
        async with appending(database_url) as appender:
            await appender.append(command(change(TWO, 0, note())))
        assert [event.position for event in page(connection, 0, 9, NAMES)] == [4]


def test_an_id_that_is_no_uuid_is_refused_in_words(datastore: Datastore) -> None:
    with pytest.raises(NotSupportedError, match="UUID"):
        LogRecorder(datastore).insert_events([StoredEvent("cart-1", 1, "shop:Opened", b"{}")])
    with pytest.raises(NotSupportedError, match="UUID"):
        LogRecorder(datastore).select_events("cart-1")


def test_what_postgres_cannot_hold_is_a_data_error(datastore: Datastore, database_url: str) -> None:
    with pytest.raises(DataError):
        LogRecorder(datastore).insert_events([StoredEvent(ONE, 1, "shop:\0", b"{}")])
    assert rows(database_url, COUNT) == [(0,)]


def test_applications_on_one_log_see_their_own_events(datastore: Datastore) -> None:
    shop = LogRecorder(datastore, "Shop", own_only=True)
    bank = LogRecorder(datastore, "Bank", own_only=True)
    assert shop.max_notification_id() is None
    assert shop.insert_events(events(ONE, 1)) == [1]
    assert bank.insert_events(events(TWO, 0)) == [2]
    assert shop.insert_events(events(ONE, 2)) == [3]
    assert bank.insert_events(events(TWO, 1)) == [4]
    assert [e.id for e in shop.select_notifications(None, 9)] == [1, 3]
    assert [e.id for e in shop.select_notifications(2, 1)] == [3]
    assert [e.id for e in bank.select_notifications(None, 9)] == [2, 4]
    assert [e.id for e in LogRecorder(datastore).select_notifications(None, 9)] == [1, 2, 3, 4]
    assert (shop.max_notification_id(), bank.max_notification_id()) == (3, 4)
    assert versions_of(shop, TWO) == []
    with pytest.raises(IntegrityError, match="belongs to another program"):
        shop.insert_events(events(TWO, 2))


def test_a_rare_topic_is_found_however_far_away_it_is(datastore: Datastore) -> None:
    recorder = LogRecorder(datastore)
    rare = StoredEvent(TWO, 1, "shop:Closed", b"{}")
    recorder.insert_events([*events(ONE, *range(25_000)), rare])
    recorder.insert_events([*events(ONE, *range(25_000, 50_000)), StoredEvent(TWO, 2, "x", b"")])
    found = recorder.select_notifications(None, 10, topics=["shop:Closed", "x"])
    assert [e.id for e in found] == [25_001, 50_002]
    assert recorder.select_notifications(None, 10, stop=25_000, topics=["shop:Closed"]) == []


def test_a_checkpoint_and_its_events_are_kept_both_or_neither(
    datastore: Datastore, database_url: str
) -> None:
    recorder = LogProcessRecorder(datastore, "Counters")
    assert recorder.insert_events(events(ONE, 1), tracking=Tracking("Shop", 7)) == [1]
    with pytest.raises(IntegrityError):
        recorder.insert_events(events(ONE, 1), tracking=Tracking("Shop", 8))
    assert recorder.max_tracking_id("Shop") == 7
    with pytest.raises(IntegrityError, match="Counters has been at 7 of Shop already"):
        recorder.insert_events(events(ONE, 2), tracking=Tracking("Shop", 7))
    assert rows(database_url, COUNT) == [(1,)]
    assert LogProcessRecorder(datastore, "Others").max_tracking_id("Shop") is None


def test_tracking_is_never_dropped_without_a_word(datastore: Datastore, database_url: str) -> None:
    with pytest.raises(ProgrammingError, match="process recorder"):
        LogRecorder(datastore).insert_events(events(ONE, 1), tracking=Tracking("Shop", 1))
    assert rows(database_url, COUNT) == [(0,)]


def test_a_view_that_fails_leaves_its_checkpoint(datastore: Datastore) -> None:
    recorder = LogProcessRecorder(datastore)

    def fail() -> None:
        with recorder.tracked(Tracking("Shop", 1)) as connection:
            connection.execute("select 1 / 0")

    with pytest.raises(Exception, match="division by zero"):
        fail()
    assert recorder.max_tracking_id("Shop") is None


def test_a_database_without_a_log_says_what_to_do(server_url: str) -> None:
    datastore = Datastore(server_url)
    with pytest.raises(ProgrammingError, match="daybook migrate"):
        LogRecorder(datastore).max_notification_id()
    datastore.close()


def test_a_closed_recorder_says_so(database_url: str) -> None:
    datastore = Datastore(database_url)
    datastore.close()
    with pytest.raises(InterfaceError, match="closed"):
        LogRecorder(datastore).select_events(uuid4())


def test_postgres_that_is_away_is_an_operational_error_in_time() -> None:
    datastore = Datastore("postgresql://postgres@127.0.0.1:9/daybook")
    with pytest.raises(OperationalError):
        LogRecorder(datastore).max_notification_id()
    datastore.close()
