"""An API process, put together: which side it serves, with which store, keys and views.

granian calls `write_side`, `read_side` or `both_sides` in each of its worker processes.
"""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.metadata import version
from types import MappingProxyType
from typing import Literal
from uuid import UUID

from litestar import Litestar

from api.addresses import Addresses
from api.application import create_app
from api.health import health
from api.limiter import Limit, Limiter, Told
from api.metrics import metrics
from api.read.live.hub import Hub
from api.revocations import Revocations
from api.tokens import Tokens
from daybook import garbage
from daybook.facts import Facts
from daybook.keys.master_key import keyring
from daybook.keys.signing_keys import KeyRing
from daybook.keys.tombstones import Tombstones, file_of
from daybook.logs import configure_logs
from daybook.metrics import Metrics
from daybook.observation import observed
from daybook.readiness import Stopping, checks, opened, reports
from daybook.services import Services
from daybook.setting_values import RateLimit
from daybook.settings import Settings
from daybook.sides import Parts, Shared, reading, writing
from event_store.connections import pool
from event_store.news import NewsReader
from projections.reading.row_cache import RowCache
from projections.reading.rows_in_redis import RowsInRedis
from projections.reading.touched import Touched
from projections.switched_on import PROJECTIONS

Side = Literal["write", "read", "all"]
SIDES: Mapping[Side, Sequence[Callable[[Shared], Parts]]] = MappingProxyType(
    {"write": [writing], "read": [reading], "all": [writing, reading]}
)


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
    ring, counting = KeyRing(settings), Metrics()
    forgetting: list[Callable[[UUID], None]] = [services.keys.forget]
    revocations = Revocations(services.database_url, lambda user_id: tell_all(forgetting, user_id))
    read_url = settings.read_database_url or services.database_url
    shared = Shared(
        settings=settings,
        services=services,
        read_url=read_url,
        ring=ring,
        hub=Hub(NewsReader(read_url, services.keys), revocations),
        cache=row_cache(settings, read_url, services.redis_url),
        counting=counting,
        observation=observed(settings, counting),
        forgetting=forgetting,
    )
    sides = [make(shared) for make in SIDES[side]]
    facts = Facts(services.database_url)
    looking, stopping = pool(services.database_url, name="daybook health", size=2), Stopping()
    holds = checks(looking) | {"stopping": stopping.check}
    tokens = Tokens(ring.by_name, ring.signs)
    following = ring.following(lambda: tokens.use(ring.by_name, ring.signs))
    return create_app(
        handlers=[
            *(handler for one in sides for handler in one.handlers),
            *health(holds, reports(looking, services, shared.hub)),
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
        around=shared.observation.layers,
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


def row_cache(settings: Settings, database_url: str, redis_url: str) -> RowCache | None:
    """Return where single rows are cached; None: nowhere."""
    if settings.cache == "off":
        return None
    seconds = settings.cache_ttl.total_seconds()
    redis = RowsInRedis(redis_url, seconds) if settings.cache == "redis" else None
    single = [PROJECTIONS[name] for name in ("users", "products", "orders")]
    return RowCache(Touched(database_url, single, seconds), seconds, redis)
