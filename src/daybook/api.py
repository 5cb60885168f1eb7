"""An API process, put together: which side it serves, with which store, keys and views.

granian calls `write_side`, `read_side` or `both_sides` in each of its worker processes.
"""

import asyncio
import hmac
import os
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from importlib.metadata import version
from typing import Literal
from uuid import UUID

from litestar import Litestar
from litestar.handlers import HTTPRouteHandler
from litestar.types import ExceptionHandlersMap
from psycopg_pool import AsyncConnectionPool
from redis.asyncio import Redis

from api import read, write
from api.addresses import Addresses
from api.application import create_app
from api.graphql.routes import graphql
from api.health import Check, Report, health
from api.limiter import Limit, Limiter, Told
from api.metrics import metrics
from api.read import as_of, demands
from api.read.cursors import Cursors
from api.read.live.hub import Hub
from api.revocations import Revocations
from api.tokens import Tokens
from api.write import idempotency
from api.write.idempotency import Memory
from api.write.intake import Intake
from commands.passwords import Passwords
from commands.sessions.door import Door
from commands.work import Tools
from daybook import garbage
from daybook.facts import Facts
from daybook.logs import configure_logs
from daybook.master_key import keyring
from daybook.metrics import Metrics
from daybook.migrate import newest_revision
from daybook.observation import Observation, observed
from daybook.reaction_desk import ReactionDesk
from daybook.services import Services
from daybook.settings import RateLimit, Settings, audit_keys
from daybook.signing_keys import KeyRing
from daybook.stop_signals import on_stop_signal
from daybook.tombstones import Tombstones, file_of
from daybook.wakeups import Herald
from daybook.wakeups_over_rabbitmq import why_unusable
from event_store.connections import pool
from event_store.news import NewsReader
from event_store.privacy.held import PersonalData
from event_store.sign_ins import FailureLimit, SignIns
from event_store.trail import Trail
from projections.oversight import Oversight
from projections.past_lists import Pasts
from projections.row_cache import RowCache
from projections.rows_in_redis import RowsInRedis
from projections.status import statuses_async
from projections.switched_on import PROJECTIONS
from projections.touched import Touched
from projections.views import Views

Side = Literal["write", "read", "all"]


@dataclass
class Parts:
    """What one side adds to an application."""

    handlers: list[HTTPRouteHandler]
    provided: Mapping[str, object]
    lifespan: AbstractAsyncContextManager[object]
    exception_handlers: ExceptionHandlersMap


def write_side() -> Litestar:
    """Return the application that takes commands."""
    return from_environment("write")


def read_side() -> Litestar:
    """Return the application that shows views."""
    return from_environment("read")


def both_sides() -> Litestar:
    """Return the application that does both."""
    return from_environment("all")


def from_environment(side: Side) -> Litestar:
    """Put an application together as the environment says; both services must be given there."""
    configure_logs()
    settings = Settings.from_environment(os.environ)
    if settings.database_url is None or settings.redis_url is None:
        message = "The API needs DAYBOOK_DATABASE_URL and DAYBOOK_REDIS_URL: use `daybook serve`."
        raise SystemExit(message)
    found = Services(
        settings.database_url, settings.redis_url, keyring(settings), settings.broker_url
    )
    app = build(side, settings, found)
    garbage.settle()
    return app


def build(side: Side, settings: Settings, services: Services) -> Litestar:
    """Put an application together from its parts."""
    ring = KeyRing(settings)
    forgetting: list[Callable[[UUID], None]] = [services.keys.forget]
    revocations = Revocations(services.database_url, lambda user_id: tell_all(forgetting, user_id))
    read_url = settings.read_database_url or services.database_url
    hub = Hub(NewsReader(read_url, services.keys), revocations)
    cache = row_cache(settings, read_url, services.redis_url)
    counting = Metrics()
    observation = observed(settings, counting)
    facts = Facts(services.database_url)
    sides = []
    if side != "read":
        memory = Memory(settings.idempotency_ttl, derived(ring, b"idempotency keys"))
        records = SignIns(services.database_url, failure_limit(settings.login_rate_limit))
        door = Door(records, derived(ring, b"accounts"), counting.limited("login"))
        wakes = [hub.wake] if cache is None else [hub.wake, cache.wake]
        sides.append(writing(services, memory, records, door, wakes, observation, forgetting))
    if side != "write":
        cursors = Cursors(derived(ring, b"cursors"))
        views = Views(read_url, cache=cache)
        trail, desk = (
            Trail(services.database_url, seeds=audit_keys(settings, make=True)),
            ReactionDesk(read_url),
        )
        development = settings.env == "development"
        held = PersonalData(services.database_url, services.keys)
        pasts = Pasts(services.database_url)
        parts = reading(views, trail, pasts, hub, cursors, desk, held, development=development)
        sides.append(overseen(parts, services.database_url))
    looking, stopping = pool(services.database_url, name="daybook health", size=2), Stopping()
    tokens = Tokens(ring.by_name, ring.signs)
    following = ring.following(lambda: tokens.use(ring.by_name, ring.signs))
    return create_app(
        handlers=[
            *(handler for one in sides for handler in one.handlers),
            *health(
                checks(looking) | {"stopping": stopping.check}, reports(looking, services, hub)
            ),
            metrics(lambda: counting.rendered(facts), settings.metrics_token),
        ],
        tokens=tokens,
        revocations=revocations,
        provided={
            "tombstones": Tombstones(file_of(settings)),
            **{name: part for one in sides for name, part in one.provided.items()},
        },
        lifespan=[following, opened(looking), stopping.heard(), *(one.lifespan for one in sides)],
        limiter=limiter(settings.rate_limit, services.redis_url, counting.limited("default")),
        told=counting.limited("default"),
        around=observation.layers,
        addresses=Addresses(settings.trusted_proxies),
        origins=settings.cors_origins,
        docs=settings.docs == "public",
        exception_handlers={
            kind: handle for one in sides for kind, handle in one.exception_handlers.items()
        },
        version=version("daybook"),
    )


def tell_all(forgetting: Iterable[Callable[[UUID], None]], user_id: UUID) -> None:
    """Let this process forget what it has in memory of somebody who is forgotten."""
    for forget in forgetting:
        forget(user_id)


def limiter(limit: RateLimit | None, redis_url: str, told: Told) -> Limiter | None:
    """Return what counts requests; None where they are not to be limited."""
    if limit is None:
        return None
    return Limiter(redis_url, Limit(limit.requests, int(limit.window.total_seconds())), told)


def failure_limit(limit: RateLimit | None) -> FailureLimit | None:
    """Return how many sign-ins may fail; None: any number."""
    return None if limit is None else FailureLimit(limit.requests, limit.window)


def writing(  # noqa: PLR0913, PLR0917 - the parts of the side
    services: Services,
    memory: Memory,
    records: SignIns,
    door: Door,
    wakes: Sequence[Callable[[int], None]],
    observation: Observation,
    forgetting: list[Callable[[UUID], None]],
) -> Parts:
    """Return the parts that take commands; `wakes` are told of what they append, too.

    `forgetting` gets what else is to be told of somebody who is forgotten.
    """
    herald = Herald(services.wakeups_url, PROJECTIONS)
    passwords = Passwords()

    def tell(position: int) -> None:
        herald.tell(position)
        for wake in wakes:
            wake(position)

    store = observation.store(services.database_url, services.keys, tell)

    @asynccontextmanager
    async def lifespan() -> AsyncIterator[None]:
        herald.start()
        await store.open()
        await records.open()
        try:
            yield
        finally:
            await store.close()
            await records.close()
            herald.close()
            passwords.close()

    tools = Tools(store, passwords, door, PROJECTIONS)
    forgetting.append(lambda user_id: tools.states.forget([user_id]))
    intake = Intake(tools, memory, observation.execute)
    provided = {"intake": intake, "reaction_desk": ReactionDesk(services.database_url)}
    return Parts(write.HANDLERS, provided, lifespan(), idempotency.EXCEPTION_HANDLERS)


def derived(ring: KeyRing, purpose: bytes) -> Callable[[], list[bytes]]:
    """Return what gives the secrets for another purpose than to sign tokens, the newest first."""
    return lambda: [hmac.digest(secret, purpose, "sha256") for secret in ring.secrets()]


def overseen(parts: Parts, database_url: str) -> Parts:
    """Return the parts with what answers operators, from the primary: it knows who is alive."""
    parts.provided = {**parts.provided, "oversight": Oversight(database_url)}
    return parts


def row_cache(settings: Settings, database_url: str, redis_url: str) -> RowCache | None:
    """Return where single rows are cached; None: nowhere."""
    if settings.cache == "off":
        return None
    seconds = settings.cache_ttl.total_seconds()
    redis = RowsInRedis(redis_url, seconds) if settings.cache == "redis" else None
    single = [PROJECTIONS[name] for name in ("users", "products", "orders")]
    return RowCache(Touched(database_url, single, seconds), seconds, redis)


def reading(  # noqa: PLR0913, PLR0917 - the parts of the side
    views: Views,
    trail: Trail,
    pasts: Pasts,
    hub: Hub,
    cursors: Cursors,
    desk: ReactionDesk,
    held: PersonalData,
    *,
    development: bool,
) -> Parts:
    """Return the parts that show views, perhaps those of a replica, and answer auditors."""

    @asynccontextmanager
    async def lifespan() -> AsyncIterator[None]:
        async with views, trail, pasts, held, hub.running():
            with on_stop_signal(hub.stop):
                yield

    provided = {
        "views": demands.views_for_each(views),
        "cursors": cursors,
        "trail": trail,
        "pasts": pasts,
        "hub": hub,
        "personal_data": held,
        "reaction_desk": desk,
    }
    handlers = [*read.HANDLERS, *graphql(development=development)]
    exception_handlers = {**demands.EXCEPTION_HANDLERS, **as_of.EXCEPTION_HANDLERS}
    return Parts(handlers, provided, lifespan(), exception_handlers)


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
