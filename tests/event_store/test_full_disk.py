"""Postgres without room on its disk: appends are refused, reads go on, nothing is torn."""

import os
import subprocess
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from random import Random
from string import ascii_letters
from time import monotonic
from uuid import UUID, uuid4

import pytest

from event_store.records import Append, Recorded, StoreUnavailable
from event_store.store import EventStore
from tests.event_store.asynchronous import on_a_loop
from tests.event_store.given import everything, note, noting
from tests.event_store.outages import (
    PATIENCE,
    check_order,
    folder,
    keyed,
    opened,
    server_in,
    until_appended,
)

__all__ = ["folder"]
pytestmark = pytest.mark.timeout(240)

IN_TIME = 6.0
BACK_AFTER_ROOM = 5.0
SMALL = "160m"  # a new database takes 45 MB and two segments of write-ahead log
EVENTS_OF_LARGE = 40
CHANCE = Random(1)  # noqa: S311 - text that Postgres cannot compress


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
            assert await until_appended(store) < BACK_AFTER_ROOM
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
    acknowledged: list[UUID] = []
    while True:
        stream_id = uuid4()
        began = monotonic()
        try:
            await store.append(large(stream_id))
        except StoreUnavailable:
            assert monotonic() - began < IN_TIME
            return acknowledged
        acknowledged.append(stream_id)


def check_whole(log: Sequence[Recorded], acknowledged: Sequence[UUID]) -> None:
    """Check that large commands are stored whole, and all those that were acknowledged."""
    check_order(log)
    sizes = Counter(event.stream_id for event in log)
    assert set(sizes.values()) <= {1, EVENTS_OF_LARGE}
    assert set(acknowledged) <= {stream for stream in sizes if sizes[stream] == EVENTS_OF_LARGE}
