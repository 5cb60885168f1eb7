"""The two sides of an API process: what each adds to it, made of what both share."""

import hmac
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from uuid import UUID

from litestar.handlers import HTTPRouteHandler
from litestar.types import ExceptionHandlersMap

from api.graphql.routes import graphql
from api.read import as_of, demands
from api.read import handlers as read_side
from api.read.cursors import Cursors
from api.read.live.hub import Hub
from api.write import handlers as write_side
from api.write import idempotency
from api.write.idempotency import Memory
from api.write.intake import Intake
from commands.passwords import Passwords
from commands.sessions.door import Door
from commands.work import Tools
from daybook.keys.signing_keys import KeyRing
from daybook.metrics import Metrics
from daybook.observation import Observation
from daybook.operators.reaction_desk import ReactionDesk
from daybook.processes.stop_signals import on_stop_signal
from daybook.services import Services
from daybook.setting_values import RateLimit
from daybook.settings import Settings, audit_keys
from daybook.wakeups.sender import Herald
from event_store.privacy.held import PersonalData
from event_store.sign_ins import FailureLimit, SignIns
from event_store.trail import Trail
from projections.oversight.desk import Oversight
from projections.pasts.lists import Pasts
from projections.reading.row_cache import RowCache
from projections.reading.views import Views
from projections.switched_on import PROJECTIONS


@dataclass
class Parts:
    """What one side adds to an application."""

    handlers: list[HTTPRouteHandler]
    provided: Mapping[str, object]
    lifespan: AbstractAsyncContextManager[object]
    exception_handlers: ExceptionHandlersMap


@dataclass(frozen=True)
class Shared:
    """What both sides of a process work with.

    `read_url` is where views are, perhaps of a replica. Each of `forgetting` is told of somebody
    who is forgotten.
    """

    settings: Settings
    services: Services
    read_url: str
    ring: KeyRing
    hub: Hub
    cache: RowCache | None
    counting: Metrics
    observation: Observation
    forgetting: list[Callable[[UUID], None]]


def writing(shared: Shared) -> Parts:
    """Return the parts that take commands."""
    services, settings = shared.services, shared.settings
    memory = Memory(settings.idempotency_ttl, derived(shared.ring, b"idempotency keys"))
    records = SignIns(services.database_url, failure_limit(settings.login_rate_limit))
    door = Door(records, derived(shared.ring, b"accounts"), shared.counting.limited("login"))
    herald, passwords = Herald(services.wakeups_url, PROJECTIONS), Passwords()
    wakes = [herald.tell, shared.hub.wake, *([shared.cache.wake] if shared.cache else [])]

    def tell(position: int) -> None:
        for wake in wakes:
            wake(position)

    store = shared.observation.store(services.database_url, services.keys, tell)

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
    shared.forgetting.append(lambda user_id: tools.states.forget([user_id]))
    provided = {
        "intake": Intake(tools, memory, shared.observation.execute),
        "reaction_desk": ReactionDesk(services.database_url),
    }
    return Parts(write_side.HANDLERS, provided, lifespan(), idempotency.EXCEPTION_HANDLERS)


def reading(shared: Shared) -> Parts:
    """Return the parts that show views, and answer auditors and operators from the primary."""
    primary, hub = shared.services.database_url, shared.hub
    views = Views(shared.read_url, cache=shared.cache)
    trail = Trail(primary, seeds=audit_keys(shared.settings, make=True))
    pasts, held = Pasts(primary), PersonalData(primary, shared.services.keys)

    @asynccontextmanager
    async def lifespan() -> AsyncIterator[None]:
        async with views, trail, pasts, held, hub.running():
            with on_stop_signal(hub.stop):
                yield

    provided = {
        "views": demands.views_for_each(views),
        "cursors": Cursors(derived(shared.ring, b"cursors")),
        "trail": trail,
        "pasts": pasts,
        "hub": hub,
        "personal_data": held,
        "reaction_desk": ReactionDesk(shared.read_url),
        "oversight": Oversight(primary),
    }
    told = shared.settings.env == "development" and shared.settings.docs == "public"
    handlers = [*read_side.HANDLERS, *graphql(told=told)]
    exception_handlers = {**demands.EXCEPTION_HANDLERS, **as_of.EXCEPTION_HANDLERS}
    return Parts(handlers, provided, lifespan(), exception_handlers)


def failure_limit(limit: RateLimit | None) -> FailureLimit | None:
    """Return how many sign-ins may fail; None: any number."""
    return None if limit is None else FailureLimit(limit.requests, limit.window)


def derived(ring: KeyRing, purpose: bytes) -> Callable[[], list[bytes]]:
    """Return what gives the secrets for another purpose than to sign tokens, the newest first."""
    return lambda: [hmac.digest(secret, purpose, "sha256") for secret in ring.secrets()]
