"""The write side in this process, on a real Postgres, and people who use it."""

import asyncio
import atexit
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import uuid4

import httpx
import psycopg
import pytest
from litestar import Litestar
from litestar.testing import TestClient

from api.application import create_app
from api.health import health
from api.revocations import Revocations
from api.tokens import Tokens
from api.write import handlers as write_side
from api.write.idempotency import EXCEPTION_HANDLERS, Memory
from api.write.intake import Intake
from commands.execution import execute
from commands.passwords import Passwords
from commands.sessions.door import Door
from commands.users.register_user import CreateAdministrator, create_administrator
from commands.work import Asker, Tools
from daybook.keys.tombstones import Tombstones
from daybook.operators.reaction_desk import ReactionDesk
from event_store.store import EventStore
from tests.daybook.conftest import redis_url
from tests.event_store.given import keyring

__all__ = ["redis_url"]

KEYS = {"first": b"1" * 32, "second": b"2" * 32}
SECRETS = [b"3" * 32]
ADMIN_EMAIL = "admin@example.com"
PROJECTIONS = {"orders", "users"}
PASSWORD = "correct horse battery"
FOLDER = TemporaryDirectory(prefix="daybook-tests-")
atexit.register(FOLDER.cleanup)
SYSTEM = Asker(actor_id="system", role="system", request_id="test", correlation_id="test")

Client = TestClient[Litestar]
Json = dict[str, Any]


@asynccontextmanager
async def opened(tools: Tools) -> AsyncIterator[None]:
    """Run the log and the password threads while the application runs."""
    await tools.store.open()
    try:
        yield
    finally:
        await tools.store.close()
        tools.passwords.close()


def new_tools(
    database_url: str, tell: Callable[[int], None] = lambda _: None, *, door: Door | None = None
) -> Tools:
    store = EventStore(database_url, keys=keyring(), on_append=tell)
    return Tools(store, Passwords(), door or Door(), PROJECTIONS)


def new_intake(tools: Tools) -> Intake:
    return Intake(tools, Memory(timedelta(days=1), lambda: SECRETS))


def new_tombstones() -> Tombstones:
    return Tombstones(Path(FOLDER.name) / "forgotten")


def new_app(database_url: str, tokens: Tokens | None = None) -> Litestar:
    tools = new_tools(database_url)
    return create_app(
        handlers=[*write_side.HANDLERS, *health({}, {})],
        tokens=tokens or Tokens(KEYS, "first"),
        revocations=Revocations(database_url),
        provided={
            "intake": new_intake(tools),
            "reaction_desk": ReactionDesk(database_url),
            "tombstones": new_tombstones(),
        },
        exception_handlers=EXCEPTION_HANDLERS,
        lifespan=[opened(tools)],
        version="1",
    )


async def create_admin(database_url: str) -> None:
    tools = new_tools(database_url)
    command = CreateAdministrator(email=ADMIN_EMAIL, password=PASSWORD, name="First Admin")
    async with opened(tools):
        await execute(tools, SYSTEM, create_administrator, command)


@contextmanager
def storing_nothing_refused(client: Client, database_url: str) -> Iterator[Client]:
    """Lend a client; what was refused meanwhile must have left no event behind.

    But for a refresh token that comes back: that its session ended is in the log.
    """
    refusals: list[str] = []

    def note(answer: httpx.Response) -> None:
        if answer.is_client_error and b"REFRESH_REUSED" not in answer.read():
            refusals.append(answer.headers["x-request-id"])

    client.event_hooks["response"].append(note)
    yield client
    with psycopg.connect(database_url) as connection:
        cursor = connection.execute(
            "select name from events where request_id = any(%s)", [refusals]
        )
        assert cursor.fetchall() == []


@pytest.fixture(scope="module")
def tokens() -> Tokens:
    return Tokens(KEYS, "first")


@pytest.fixture(scope="module")
def client(database_url: str, tokens: Tokens) -> Iterator[Client]:
    """Give a client of the running write side, with an administrator in the database."""
    asyncio.run(create_admin(database_url))
    with (
        TestClient(new_app(database_url, tokens)) as running,
        storing_nothing_refused(running, database_url),
    ):
        yield running


class Person:
    """Somebody who has an account and is signed in."""

    def __init__(self, client: Client, email: str, user_id: str = "") -> None:
        self.client, self.email, self.id = client, email, user_id
        self.sign_in()

    def sign_in(self) -> None:
        credentials = {"email": self.email, "password": PASSWORD}
        pair = data_of(self.client.post("/api/v1/auth/login", json=credentials))
        self.access_token, self.refresh_token = pair["accessToken"], pair["refreshToken"]

    def ask(self, method: str, path: str, json: object = None, **headers: str) -> httpx.Response:
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        signed = {"Authorization": f"Bearer {self.access_token}", **given}
        body: Json = {} if json is None else {"json": json}
        return self.client.request(method, f"/api/v1{path}", headers=signed, **body)


def data_of(response: httpx.Response) -> Json:
    """Return the data of an answer that must be a success."""
    assert response.is_success, response.text
    found: Json = response.json()["data"]
    return found


def refused(response: httpx.Response, status: int, code: str) -> Json:
    """Return the error of an answer that must be this refusal, in its envelope."""
    assert (response.status_code, response.json()["error"]["code"]) == (status, code), response.text
    body = response.json()
    assert body["success"] is False
    assert body["meta"]["requestId"] == response.headers["x-request-id"]
    error: Json = body["error"]
    return error


@pytest.fixture(scope="module")
def admin(client: Client) -> Person:
    return Person(client, ADMIN_EMAIL)


def register(client: Client, email: str | None = None) -> Person:
    """Open an account and sign in."""
    address = email or f"user-{uuid4().hex[:12]}@example.com"
    body = {"email": address, "password": PASSWORD, "name": "Ada Lovelace"}
    return Person(client, address, data_of(client.post("/api/v1/users", json=body))["id"])


def with_role(client: Client, admin: Person, role: str) -> Person:
    """Open an account, give it a role, and sign in with it."""
    person = register(client)
    data_of(admin.ask("PUT", f"/users/{person.id}/role", {"role": role}))
    person.sign_in()
    return person


@pytest.fixture(scope="module")
def staff(client: Client, admin: Person) -> Person:
    return with_role(client, admin, "staff")


@pytest.fixture(scope="module")
def auditor(client: Client, admin: Person) -> Person:
    return with_role(client, admin, "auditor")


@pytest.fixture(scope="module")
def customer(client: Client) -> Person:
    return register(client)


def list_product(staff: Person, stock: int | None = 10, amount: str = "2.50") -> str:
    """List a product and return its id."""
    price = {"amount": amount, "currency": "GBP"}
    body = {"sku": uuid4().hex, "name": "A thing", "price": price, "stock": stock}
    found: str = data_of(staff.ask("POST", "/products", body))["id"]
    return found


def place_order(person: Person, product_id: str, quantity: int = 2) -> str:
    """Place an order and return its id."""
    items = [{"productId": product_id, "quantity": quantity}]
    found: str = data_of(person.ask("POST", "/orders", {"items": items}))["id"]
    return found
