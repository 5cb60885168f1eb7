"""Outages of a Postgres of the test's own, and clients who live through them with a ledger."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
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
from tests.event_store.given import AUDIT, change, keyring, note, noting
from tests.folders import folder_for_services
from tests.oracle.server import Server, own_postgres

PATIENCE = 30.0


@pytest.fixture
def folder() -> Iterator[Path]:
    """Make a folder for a server."""
    with folder_for_services() as made:
        yield made


@contextmanager
def server_in(folder: Path, log_dir: Path | None = None) -> Iterator[Server]:
    """Run a migrated Postgres in a folder."""
    with own_postgres(folder, log_dir) as server:
        migrate(server.url)
        yield server


@asynccontextmanager
async def opened(database_url: str) -> AsyncIterator[EventStore]:
    """Run an event store for the length of a block."""
    store = EventStore(database_url, keys=keyring(), on_append=lambda _: None)
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


def check_order(log: Sequence[Recorded]) -> None:
    """Check that positions have no gaps and times never run backwards."""
    assert [event.position for event in log] == list(range(1, len(log) + 1))
    recorded = [event.recorded_at for event in log]
    assert recorded == sorted(recorded)
