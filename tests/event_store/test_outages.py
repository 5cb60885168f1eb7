"""Postgres killed, stopped, frozen, without room: what is acknowledged is kept, all else is said."""

import asyncio
import os
import signal
import subprocess
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from string import ascii_letters
from time import monotonic
from uuid import UUID, uuid4

import pytest

from daybook.migrate import migrate
from event_store.records import (
    Append,
    Appended,
    IdempotencyKey,
    Recorded,
    Repeated,
    StoreUnavailable,
)
from event_store.store import EventStore
from tests.event_store.asynchronous import on_a_loop
from tests.event_store.given import AUDIT, change, everything, note, noting
from tests.oracle.server import Server, frozen, own_postgres, signalled
from tests.stories.running import folder_for_services

pytestmark = [pytest.mark.xdist_group("outages"), pytest.mark.timeout(240)]

IN_TIME = 6.0
PATIENCE = 30.0
BACK_AFTER_A_BACKEND, BACK_AFTER_A_POSTMASTER, BACK_AFTER_A_STOP = 6.0, 15.0, 6.0
SMALL = "160m"  # a new database takes 45 MB and two segments of write-ahead log
EVENTS_OF_LARGE = 40
CHANCE = Random(1)  # noqa: S311 - text that Postgres cannot compress


@pytest.fixture
def folder() -> Iterator[Path]:
    """Make a folder for a server."""
    with folder_for_services() as made:
        yield made


@pytest.fixture
def small_disk(folder: Path) -> Iterator[Path]:
    """Mount a small disk where the server will keep its data."""
    disk = folder / "var"
    disk.mkdir(mode=0o755)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SMALL},mode=755", "tmpfs", str(disk)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("a full disk needs a small one, and mounting that is not possible here")
    try:
        yield disk
    finally:
        subprocess.run(["umount", str(disk)], check=True)


@contextmanager
def server_in(folder: Path, log_dir: Path | None = None) -> Iterator[Server]:
    """Run a migrated Postgres in a folder."""
    with own_postgres(folder, log_dir) as server:
        migrate(server.url)
        yield server


@asynccontextmanager
async def opened(database_url: str) -> AsyncIterator[EventStore]:
    """Run an event store for the length of a block."""
    store = EventStore(database_url, on_append=lambda _: None)
    await store.open()
    try:
        yield store
    finally:
        await store.close()


def keyed(stream_id: UUID, *texts: str) -> Append:
    """Return a command with a key of its own, and its stream's id for an answer."""
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    key = IdempotencyKey("alice", str(stream_id), "a print", tomorrow)
    changes = (change(stream_id, 0, *map(note, texts or ("hello",))),)
    return Append(uuid4(), AUDIT, changes, (), key, str(stream_id))


class Clients:
    """Clients who append, ask again while the answer is unsure, and keep a ledger."""

    def __init__(self, store: EventStore) -> None:
        self._store = store
        self.ledger: dict[UUID, int] = {}
        self.slowest = 0.0
        self.acknowledged_at = 0.0
        self.unsure = 0
        self._leaving = False

    @asynccontextmanager
    async def at_work(self, count: int) -> AsyncIterator[None]:
        """Let so many work until the block ends, and finish what they have begun."""
        tasks = [asyncio.create_task(self._work()) for _ in range(count)]
        try:
            yield
        finally:
            self._leaving = True
            await asyncio.gather(*tasks)

    async def first_acknowledgement(self) -> float:
        """Return the seconds until something new is acknowledged."""
        began = monotonic()
        await asyncio.sleep(0.1)  # answers that were on their way
        since = monotonic()
        while self.acknowledged_at < since:
            assert monotonic() < began + PATIENCE, "nothing is acknowledged any more"
            await asyncio.sleep(0.01)
        return self.acknowledged_at - began

    async def _work(self) -> None:
        while not self._leaving:
            stream_id = uuid4()
            answer = await self._ask(stream_id)
            while isinstance(answer, StoreUnavailable):
                self.unsure += 1
                await asyncio.sleep(0.05)
                answer = await self._ask(stream_id)
            self.ledger[stream_id] = answer.position
            self.acknowledged_at = monotonic()

    async def _ask(self, stream_id: UUID) -> Appended | Repeated | StoreUnavailable:
        """Ask as a request that comes again does: under the same key, as another command."""
        began = monotonic()
        try:
            return await self._store.append(keyed(stream_id))
        except StoreUnavailable as unsure:
            return unsure
        finally:
            self.slowest = max(self.slowest, monotonic() - began)


async def until_appended(store: EventStore) -> float:
    """Return the seconds until an append succeeds."""
    began = monotonic()
    while True:
        try:
            await store.append(noting(uuid4()))
        except StoreUnavailable:
            assert monotonic() < began + PATIENCE, "appends do not go on"
            await asyncio.sleep(0.05)
        else:
            return monotonic() - began


@on_a_loop
async def test_what_was_acknowledged_survives_the_death_of_backends_and_of_postgres(
    folder: Path,
) -> None:
    with server_in(folder) as server:
        async with opened(server.url) as store:
            clients = Clients(store)
            async with clients.at_work(8):
                await clients.first_acknowledgement()
                for _ in range(2):
                    signalled(server.backends("daybook append")[0], signal.SIGKILL)
                    assert await clients.first_acknowledgement() < BACK_AFTER_A_BACKEND
                signalled(server.postmaster, signal.SIGKILL)
                assert await clients.first_acknowledgement() < BACK_AFTER_A_POSTMASTER
        log = everything(server.url)
    assert clients.unsure > 0
    assert clients.slowest < IN_TIME
    assert clients.ledger == {event.stream_id: event.position for event in log}
    check_order(log)


@on_a_loop
async def test_a_stopped_postgres_is_said_in_time_and_found_again(folder: Path) -> None:
    kept = uuid4()
    async with AsyncExitStack() as stack:
        with server_in(folder) as server:
            store = await stack.enter_async_context(opened(server.url))
            await store.append(noting(kept))
        ends = monotonic() + 3
        while monotonic() < ends:
            for asking in (store.append(noting(uuid4())), store.load(kept), store.head()):
                began = monotonic()
                with pytest.raises(StoreUnavailable):
                    await asking
                assert monotonic() - began < IN_TIME
        with own_postgres(folder) as again:
            assert again.url == server.url
            assert await until_appended(store) < BACK_AFTER_A_STOP
            assert await store.load(kept) == [note()]
            await stack.aclose()
            check_order(everything(again.url))


@on_a_loop
async def test_a_frozen_postgres_is_said_in_time_and_its_commands_are_done_once(
    folder: Path,
) -> None:
    streams = [uuid4() for _ in range(8)]
    with server_in(folder) as server:
        async with opened(server.url) as store:
            await store.append(noting(uuid4()))
            with frozen([server.postmaster, *server.backends("%")]):
                began = monotonic()
                asked = [store.append(keyed(stream)) for stream in streams]
                answers = await asyncio.gather(*asked, store.head(), return_exceptions=True)
                assert {type(answer) for answer in answers} == {StoreUnavailable}
                assert monotonic() - began < IN_TIME
            assert await until_appended(store) < BACK_AFTER_A_STOP
            again = await asyncio.gather(*(store.append(keyed(stream)) for stream in streams))
        log = everything(server.url)
    told = {stream: answer.position for stream, answer in zip(streams, again, strict=True)}
    found = {event.stream_id: event.position for event in log}
    assert told.items() <= found.items()
    assert len(found) == len(log) == len(streams) + 2
    check_order(log)


@on_a_loop
async def test_a_full_disk_refuses_appends_and_nothing_else_until_there_is_room(
    folder: Path, small_disk: Path
) -> None:
    with server_in(folder, folder / "log") as server:
        async with opened(server.url) as store:
            await store.append(noting(kept := uuid4()))
            with filled(small_disk, room=0):
                acknowledged = await append_until_refused(store)
                for _ in range(20):
                    with pytest.raises(StoreUnavailable):
                        await store.append(large(uuid4()))
                    assert await store.load(kept) == [note()]
                    assert await store.head() == 1 + EVENTS_OF_LARGE * len(acknowledged)
            postmaster = server.postmaster
            assert await until_appended(store) < BACK_AFTER_A_STOP
            assert server.postmaster == postmaster
        check_whole(everything(server.url), acknowledged)


@on_a_loop
async def test_postgres_that_dies_for_want_of_room_comes_back_with_all_that_was_acknowledged(
    folder: Path, small_disk: Path
) -> None:
    """Without room for its write-ahead log Postgres ends itself, where else it only refuses."""
    log_file = folder / "log" / "postgres.log"
    acknowledged: list[UUID] = []
    with server_in(folder, folder / "log") as server:
        async with opened(server.url) as store:
            with filled(small_disk, room=14_000_000):
                ends = monotonic() + PATIENCE
                while "PANIC:" not in log_file.read_text() and monotonic() < ends:
                    acknowledged += await append_until_refused(store)
            assert "PANIC:" in log_file.read_text()
            await until_appended(store)
        check_whole(everything(server.url), acknowledged)


@contextmanager
def filled(disk: Path, room: int) -> Iterator[None]:
    """Fill a disk up to so many bytes while the block lasts."""
    ballast = disk / "ballast"
    with ballast.open("wb") as file:
        free = os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize
        os.posix_fallocate(file.fileno(), 0, free - room)
    try:
        yield
    finally:
        ballast.unlink()


def large(stream_id: UUID) -> Append:
    """Return a command of many events that take room."""
    texts = ["".join(CHANCE.choices(ascii_letters, k=1_500)) for _ in range(EVENTS_OF_LARGE)]
    return keyed(stream_id, *texts)


async def append_until_refused(store: EventStore) -> list[UUID]:
    """Append large commands until one is refused; return the streams of the others."""
    acknowledged = []
    while True:
        stream_id = uuid4()
        began = monotonic()
        try:
            await store.append(large(stream_id))
        except StoreUnavailable:
            assert monotonic() - began < IN_TIME
            return acknowledged
        acknowledged.append(stream_id)


def check_order(log: Sequence[Recorded]) -> None:
    """Check that positions have no gaps and times never run backwards."""
    assert [event.position for event in log] == list(range(1, len(log) + 1))
    recorded = [event.recorded_at for event in log]
    assert recorded == sorted(recorded)


def check_whole(log: Sequence[Recorded], acknowledged: Sequence[UUID]) -> None:
    """Check that large commands are stored whole, and all those that were acknowledged."""
    check_order(log)
    sizes = Counter(event.stream_id for event in log)
    assert set(sizes.values()) <= {1, EVENTS_OF_LARGE}
    assert set(acknowledged) <= {stream for stream in sizes if sizes[stream] == EVENTS_OF_LARGE}
