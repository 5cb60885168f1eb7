"""Both sides in this process, and the views brought up to date when a test says so."""

import asyncio
from collections.abc import Callable, Iterator

import pytest
from litestar import Litestar
from litestar.testing import TestClient

from api.application import create_app
from api.graphql.routes import graphql
from api.health import health
from api.read import as_of, demands
from api.read import handlers as read_side
from api.read.cursors import Cursors
from api.read.demands import views_for_each
from api.read.live.hub import Hub
from api.revocations import Revocations
from api.tokens import Tokens
from api.write import handlers as write_side
from api.write.idempotency import EXCEPTION_HANDLERS
from daybook.operators.reaction_desk import ReactionDesk
from event_store.connections import connect
from event_store.news import NewsReader
from event_store.privacy.held import PersonalData
from event_store.trail import Trail
from projections.oversight.desk import Oversight
from projections.pasts.building import Archivist
from projections.pasts.lists import Pasts
from projections.posting.engine import catch_up
from projections.posting.pages import Pages
from projections.reading.row_cache import RowCache
from projections.reading.views import Views
from projections.switched_on import PROJECTIONS
from tests.api.conftest import (
    Client,
    Person,
    create_admin,
    new_intake,
    new_tombstones,
    new_tools,
    opened,
    register,
    storing_nothing_refused,
)
from tests.event_store.given import keyring

Post = Callable[[], None]
Make = Callable[[], None]


def new_app(
    database_url: str,
    tokens: Tokens,
    tell: Callable[[int], None] = lambda _: None,
    *,
    development: bool = True,
    cache: RowCache | None = None,
) -> Litestar:
    """Put both sides together."""
    views, trail = Views(database_url, cache=cache), Trail(database_url, seeds=(b"s" * 32,))
    pasts = Pasts(database_url)
    revocations = Revocations(database_url)
    hub = Hub(NewsReader(database_url, keyring()), revocations)

    def told(position: int) -> None:
        hub.wake(position)
        tell(position)

    held = PersonalData(database_url, keyring())
    tools = new_tools(database_url, told)
    return create_app(
        handlers=[
            *write_side.HANDLERS,
            *read_side.HANDLERS,
            *graphql(told=development),
            *health({}, {}),
        ],
        tokens=tokens,
        revocations=revocations,
        provided={
            "intake": new_intake(tools),
            "views": views_for_each(views),
            "trail": trail,
            "pasts": pasts,
            "hub": hub,
            "personal_data": held,
            "reaction_desk": ReactionDesk(database_url),
            "tombstones": new_tombstones(),
            "cursors": Cursors(lambda: [b"4" * 32]),
            "oversight": Oversight(database_url),
        },
        exception_handlers={
            **EXCEPTION_HANDLERS,
            **demands.EXCEPTION_HANDLERS,
            **as_of.EXCEPTION_HANDLERS,
        },
        lifespan=[opened(tools), views, trail, pasts, held, hub.running()],
        version="1",
    )


@pytest.fixture(scope="module")
def client(database_url: str, tokens: Tokens) -> Iterator[Client]:
    """Give a client of both sides, with an administrator in the database."""
    asyncio.run(create_admin(database_url))
    with (
        TestClient(new_app(database_url, tokens)) as running,
        storing_nothing_refused(running, database_url),
    ):
        yield running


@pytest.fixture(scope="module")
def post(database_url: str) -> Post:
    """Give what posts every view to the end of the log."""

    def up_to_date() -> None:
        with connect(database_url, name="test") as connection:
            for projection in PROJECTIONS.values():
                catch_up(connection, projection, Pages([projection], keyring()))

    return up_to_date


@pytest.fixture(scope="module")
def make(database_url: str) -> Make:
    """Give what makes the pasts that are asked for, as a worker does."""

    def made() -> None:
        with connect(database_url, name="test builder", statement_ms=60_000) as connection:
            archivist = Archivist(PROJECTIONS)
            while archivist.step(connection):
                pass
            connection.execute("update pasts set used_at = used_at - interval '1 minute'")

    return made


@pytest.fixture(scope="module")
def stranger(client: Client) -> Person:
    """Give a second customer."""
    return register(client)
