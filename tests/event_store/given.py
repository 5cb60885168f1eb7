"""Where the log's tests begin: commands to append, an appender that runs, what the log holds."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, LiteralString
from uuid import UUID, uuid4

import psycopg

from domain.order import OrderNoteAdded
from event_store.appender import DEADLINE_SECONDS, Appender
from event_store.event_types import STORED_AS, Event
from event_store.privacy.keyring import Keyring
from event_store.privacy.master_keys import LocalMasterKeys
from event_store.reading import page
from event_store.records import Append, Appended, Audit, Claim, Recorded, StreamChange

NAMES = sorted({name for name, _ in STORED_AS})
MASTER_KEY = "a-master-key-for-tests-0123456789"
AUDIT = Audit(
    actor_id="alice",
    actor_role="staff",
    request_id="request-1",
    correlation_id="correlation-1",
    command="AddOrderNote",
)


def keyring() -> Keyring:
    """Return the keys of one process on one database; all of them have the same master key."""
    return Keyring(LocalMasterKeys(lambda: [MASTER_KEY]))


def note(text: str = "hello") -> OrderNoteAdded:
    """Return an event."""
    return OrderNoteAdded(text)


def change(stream_id: UUID, expected_version: int, *events: Event) -> StreamChange:
    """Return what a command adds to a stream that it has read at a version."""
    return StreamChange(stream_id, "order", expected_version, events, subject=stream_id)


def command(*changes: StreamChange, claims: Sequence[Claim] = (), audit: Audit = AUDIT) -> Append:
    """Return a command with an id of its own."""
    return Append(uuid4(), audit, changes, tuple(claims))


def noting(stream_id: UUID, expected_version: int = 0, text: str = "hello") -> Append:
    """Return a command that adds one event to one stream."""
    return command(change(stream_id, expected_version, note(text)))


@asynccontextmanager
async def appending(
    database_url: str, on_append: Callable[[int], None] = lambda _: None
) -> AsyncIterator[Appender]:
    """Run an appender for the length of a block; its end takes no longer than a call may."""
    appender = Appender(database_url, on_append)
    appender.start()
    try:
        yield appender
    finally:
        async with asyncio.timeout(2 * DEADLINE_SECONDS):
            await appender.close()


async def answers_to(
    appender: Appender, commands: Sequence[Append]
) -> list[Appended | BaseException]:
    """Append commands that all wait at the same time; refusals are among the answers."""
    return await asyncio.gather(*map(appender.append, commands), return_exceptions=True)


def kinds(answers: Sequence[object]) -> list[str]:
    """Return the names of the answers' types."""
    return [type(answer).__name__ for answer in answers]


def rows(database_url: str, query: LiteralString, *values: object) -> list[tuple[Any, ...]]:
    """Ask the database, beside everything that is tested."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        return connection.execute(query, values).fetchall()


def everything(database_url: str) -> list[Recorded]:
    """Return the whole log."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        return page(connection, 0, 2**62, NAMES, keyring())


def positions(database_url: str) -> list[int]:
    """Return every position in the order of the log."""
    return [
        position for (position,) in rows(database_url, "select position from events order by 1")
    ]


def times_stored(database_url: str, asked: Append) -> int:
    """Return how many events of a command are in the log."""
    query = "select count(*) from events where command_id = %s"
    return int(rows(database_url, query, asked.command_id)[0][0])
