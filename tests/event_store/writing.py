"""A process that appends conflicting commands, and keeps a ledger of what it was told."""

import asyncio
import random
from collections.abc import Sequence
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import TupleRow

from event_store.connections import connect_async
from event_store.records import Appended, VersionConflict
from tests.event_store.given import answers_to, appending, noting

Ledger = list[tuple[UUID, int]]


def write(database_url: str, seed: int, streams: Sequence[UUID], rounds: int) -> Ledger:
    """Append in rounds to streams that others write too; return acknowledged ids and positions."""
    return asyncio.run(write_many(database_url, seed, streams, rounds))


async def write_many(database_url: str, seed: int, streams: Sequence[UUID], rounds: int) -> Ledger:
    """Do as `write` does, on this event loop."""
    chance = random.Random(seed)  # noqa: S311 - a test's variety
    ledger: Ledger = []
    async with (
        await connect_async(database_url, name="test") as connection,
        appending(database_url) as appender,
    ):
        for _ in range(rounds):
            seen = {stream: await version_of(connection, stream) for stream in streams}
            asked = [noting(s, seen[s]) for s in chance.choices(streams, k=6)]
            for one, answer in zip(asked, await answers_to(appender, asked), strict=True):
                if isinstance(answer, Appended):
                    ledger.append((one.command_id, answer.position))
                elif not isinstance(answer, VersionConflict):
                    raise answer
    return ledger


async def version_of(connection: AsyncConnection[TupleRow], stream: UUID) -> int:
    """Return the version that a stream has now."""
    query = "select count(*) from events where stream_id = %s"
    row = await (await connection.execute(query, [stream])).fetchone()
    assert row is not None
    return int(row[0])
