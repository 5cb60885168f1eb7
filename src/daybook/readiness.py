"""The health of an API process: what must hold for it to be asked, and what is told besides."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from psycopg_pool import AsyncConnectionPool
from redis.asyncio import Redis

from api.health import Check, Report
from api.read.live.hub import Hub
from daybook.migrate import newest_revision
from daybook.operators.reaction_desk import ReactionDesk
from daybook.processes.stop_signals import on_stop_signal
from daybook.services import Services
from daybook.wakeups.over_rabbitmq import why_unusable
from projections.posting.status import statuses_async


@asynccontextmanager
async def opened(connections: AsyncConnectionPool) -> AsyncIterator[None]:
    """Keep a pool open, also while Postgres is away."""
    await connections.open(wait=False)
    try:
        yield
    finally:
        await connections.close()


class Stopping:
    """Whether this process was told to stop: it finishes what it has begun, and wants no more."""

    def __init__(self) -> None:
        self._is = False

    @asynccontextmanager
    async def heard(self) -> AsyncIterator[None]:
        """Hear of it while the block lasts."""
        with on_stop_signal(self._begin):
            yield

    def _begin(self) -> None:
        self._is = True

    async def check(self) -> str | None:
        """Say that the process stops, if it does."""
        return "It was told to stop." if self._is else None


def checks(connections: AsyncConnectionPool) -> dict[str, Check]:
    """Return what must hold for the process to be ready."""
    wanted = newest_revision()

    async def postgres() -> str | None:
        async with connections.connection() as connection:
            await connection.execute("select 1")
        return None

    async def migration() -> str | None:
        async with connections.connection() as connection:
            cursor = await connection.execute("select version_num from alembic_version")
            row = await cursor.fetchone()
        return None if row and row[0] >= wanted else f"Run `daybook migrate` to get to {wanted}."

    return {"postgres": postgres, "migration": migration}


def reports(connections: AsyncConnectionPool, found: Services, hub: Hub) -> Mapping[str, Report]:
    """Return what is told besides."""
    desk = ReactionDesk(found.database_url)

    async def answers() -> object:
        async with Redis.from_url(
            found.redis_url, socket_timeout=1, socket_connect_timeout=1
        ) as redis:
            await redis.ping()
        return "ok"

    async def rabbitmq() -> object:
        return await asyncio.to_thread(why_unusable, found.wakeups_url) or "ok"

    async def lag() -> object:
        async with connections.connection() as connection:
            return {
                one.name: {
                    "events": one.events,
                    "seconds": round(one.seconds, 3),
                    "paused": one.paused,
                    "failure": one.failure,
                }
                for one in await statuses_async(connection)
            }

    async def reactions() -> object:
        return {
            one.name: {"state": one.state, "events": one.events, "parked": one.parked}
            for one in await desk.statuses()
        }

    async def streams() -> object:
        return hub.listeners

    told: dict[str, Report] = {
        "redis": answers,
        "projections": lag,
        "reactions": reactions,
        "streams": streams,
    }
    return told | ({"rabbitmq": rabbitmq} if found.broker_url else {})
