"""The two sides as processes of their own: the read side on a Postgres that nobody can write to."""

import asyncio
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import httpx
import psycopg
import pytest
from litestar import Litestar
from litestar.testing import TestClient
from sqlalchemy import make_url

from api.read.handlers import HANDLERS as READ
from api.read.live import events as live
from api.write.handlers import HANDLERS as WRITE
from daybook.api import build
from daybook.services import Services
from daybook.settings import Settings
from event_store.news import NewsReader
from event_store.privacy.keyring import NoMasterKey
from tests.api.conftest import ADMIN_EMAIL, PASSWORD, create_admin
from tests.conftest import fresh_database, run
from tests.event_store.given import MASTER_KEY, keyring
from tests.projections.given import ALICE, STORY, TEAPOT, append, append_sealed, post
from tests.stories.running import free_port

SECRET = "a-secret-of-more-than-thirty-two-bytes"
NOWHERE = "redis://127.0.0.1:1/0"


def settings(**changed: object) -> Settings:
    return Settings(jwt_secret=SECRET, **changed)


class Replica(NamedTuple):
    """A database with a story, and an administrator's access token for it."""

    url: str
    token: str


@pytest.fixture
def replica(server_url: str, template_database: str) -> Iterator[Replica]:
    """Give a database with a story and an administrator in which nothing can be written."""
    with told(server_url, template_database, lambda url: append(url, STORY)) as found:
        name = str(make_url(found.url).database)
        run(server_url, "alter database {} set default_transaction_read_only = on", name)
        yield found


@pytest.fixture
def sealed(server_url: str, template_database: str) -> Iterator[Replica]:
    """Give a database with a story in which what is personal is encrypted."""
    with told(server_url, template_database, lambda url: append_sealed(url, STORY, ALICE)) as found:
        yield found


@contextmanager
def told(server_url: str, template: str, append_to: Callable[[str], None]) -> Iterator[Replica]:
    """Make a database with a story in its views, and an administrator."""
    with fresh_database(server_url, template) as url:
        append_to(url)
        asyncio.run(create_admin(url))
        with TestClient(build("write", settings(), Services(url, NOWHERE, keyring()))) as writer:
            credentials = {"email": ADMIN_EMAIL, "password": PASSWORD}
            pair = writer.post("/api/v1/auth/login", json=credentials).json()["data"]
        post(url)
        yield Replica(url, pair["accessToken"])


def test_the_read_side_answers_on_a_database_that_cannot_be_written(
    replica: Replica, database_url: str
) -> None:
    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction), psycopg.connect(replica.url) as one:
        one.execute("delete from users_v2")
    # Beside the write side the primary is another database: whoever looks there finds nothing.
    for side, url in (("read", replica.url), ("all", database_url)):
        app = build(side, settings(read_database_url=replica.url), Services(url, NOWHERE))
        with TestClient(app) as reader:
            signed = {"Authorization": f"Bearer {replica.token}"}
            assert reader.get("/health/ready").status_code == 200
            assert reader.get(f"/api/v1/products/{TEAPOT}").json()["data"]["sku"] == "TEA-1"
            for path in ("users", f"users/{ALICE}", "admin/users", "orders", "products"):
                answer = reader.get(f"/api/v1/{path}", headers=signed)
                assert answer.json()["data"], answer.text
            report = reader.get("/api/v1/reports/sales?groupBy=day", headers=signed)
            assert report.json()["data"]
            if side == "read":  # what is asked of the past leaves a record, and needs tables
                past = reader.get("/api/v1/orders?asOf=3", headers=signed)
                assert (past.status_code, past.json()["error"]["code"]) == (503, "UNAVAILABLE")
                assert "nothing can be written" in past.json()["error"]["message"]
            question = {"query": "{ users { nodes { email orders { nodes { id } } } } }"}
            asked = reader.post("/graphql", json=question, headers=signed)
            assert asked.json()["data"]["users"]["nodes"]
            assert side == "all" or not failing(reader, signed)


@pytest.mark.parametrize("path", [f"users/{ALICE}/orders", "orders"])
def test_where_both_sides_are_the_past_is_asked_of_the_primary(sealed: Replica, path: str) -> None:
    """Views are read from the replica; what leaves a record is asked of the primary."""
    sign = "&" if "?" in sealed.url else "?"
    url = f"{sealed.url}{sign}options=-cdefault_transaction_read_only%3Don"
    with psycopg.connect(url) as one, pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        one.execute("delete from users_v2")
    app = build("all", settings(read_database_url=url), Services(sealed.url, NOWHERE, keyring()))
    with TestClient(app) as reader:
        signed = {"Authorization": f"Bearer {sealed.token}"}
        now = reader.get(f"/api/v1/{path}", headers=signed).json()["data"]
        asked = {**signed, "Prefer": "wait=0"}
        past = reader.get(f"/api/v1/{path}?asOf=8", headers=asked)
        if path == "orders":  # a worker has to make the whole of it
            assert (past.status_code, past.json()["data"]["state"]) == (202, "waiting")
        else:  # a few streams are folded at once
            assert past.status_code == 200, past.text
            assert {one["id"] for one in past.json()["data"]} <= {one["id"] for one in now}


def test_the_read_side_opens_what_is_sealed_in_two_places_alone(sealed: Replica) -> None:
    with TestClient(build("read", settings(), Services(sealed.url, NOWHERE))) as reader:
        signed = {"Authorization": f"Bearer {sealed.token}"}
        shown = reader.get(f"/api/v1/users/{ALICE}", headers=signed).json()["data"]
        assert shown["email"] == "a@example.com"  # as it is in the view
        assert set(failing(reader, signed)) == {f"/api/v1/users/{ALICE}/personal-data"}

    async def followed() -> None:
        async with NewsReader(sealed.url) as streams:
            await streams.in_all(0, live.NAMES)

    with pytest.raises(NoMasterKey):
        asyncio.run(followed())


def failing(reader: TestClient[Litestar], signed: dict[str, str]) -> dict[str, str]:
    """Ask for everything that the read side has; return what is answered with 500, and how."""
    paths = {path for handler in READ for path in handler.paths}
    found = {}
    for path in sorted(path for path in paths if not path.endswith(("/events", "/feed"))):
        where = re.sub(r"\{[^}]*\}", str(ALICE), path)
        answer = reader.get(where, headers=signed)
        if answer.status_code == 500:
            found[where] = answer.text
    return found


def test_each_side_has_its_own_methods_and_no_others() -> None:
    nowhere = Services("postgresql://postgres@127.0.0.1:1/none", NOWHERE)
    sides = {side: build(side, settings(), nowhere) for side in ("read", "write", "all")}
    methods = {
        side: {(path, method) for path, method in offered(app) if path.startswith("/api/")}
        for side, app in sides.items()
    }
    assert methods["read"] == {(path, "GET") for handler in READ for path in handler.paths}
    assert methods["write"] == {
        (path, str(method))
        for handler in WRITE
        for path in handler.paths
        for method in handler.http_methods
    }
    assert methods["all"] == methods["read"] | methods["write"]


def offered(app: object) -> Iterator[tuple[str, str]]:
    for route in app.routes:  # type: ignore[attr-defined]  # Litestar's
        for handler in getattr(route, "route_handlers", ()):
            for method in handler.http_methods:
                if str(method) != "OPTIONS":
                    yield route.path, str(method)


def test_a_read_side_alone_needs_no_primary_and_migrates_nothing(
    empty_database: str, server_url: str, tmp_path: Path
) -> None:
    name = empty_database.rpartition("/")[2].partition("?")[0]
    run(server_url, "alter database {} set default_transaction_read_only = on", name)
    port = free_port()
    environment = {
        **{name: value for name, value in os.environ.items() if "DAYBOOK" not in name},
        "DAYBOOK_ENV": "production",
        "DAYBOOK_READ_DATABASE_URL": empty_database,
        "DAYBOOK_REDIS_URL": NOWHERE,
        "DAYBOOK_JWT_SECRET": SECRET,
        "DAYBOOK_MASTER_KEY": MASTER_KEY,
        "DAYBOOK_DATA_DIR": str(tmp_path / "var"),
        "DAYBOOK_PORT": str(port),
    }
    command = [sys.executable, "-m", "daybook", "serve", "--side", "read"]
    server = subprocess.Popen(command, env=environment, cwd=tmp_path)
    try:
        ready = httpx.URL(f"http://127.0.0.1:{port}/health/ready")
        answer = first_answer(ready, server)
        assert answer.status_code == 503
        assert [one["field"] for one in answer.json()["error"]["details"]] == ["migration"]
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(30)


def first_answer(url: httpx.URL, server: "subprocess.Popen[bytes]") -> httpx.Response:
    """Wait until a server answers."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        assert server.poll() is None, "the server has ended"
        try:
            return httpx.get(url, timeout=10)
        except httpx.TransportError:
            time.sleep(0.1)
    pytest.fail("the server does not answer")
