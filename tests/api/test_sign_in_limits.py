"""Sign-ins that fail, over HTTP: how a lock is answered, and what is recorded (S15, S33)."""

import asyncio
import re
from collections.abc import Iterator
from contextlib import asynccontextmanager, closing
from datetime import timedelta
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from litestar import Litestar
from litestar.testing import TestClient
from redis import Redis

from api.application import create_app
from api.limiter import Limit, Limiter
from api.revocations import Revocations
from api.tokens import Tokens
from api.write import auth, users
from api.write.idempotency import EXCEPTION_HANDLERS
from commands.sessions.door import Door
from event_store.sign_ins import FailureLimit, SignIns
from tests.api.conftest import (
    KEYS,
    PASSWORD,
    Client,
    create_admin,
    data_of,
    new_intake,
    new_tools,
    opened,
    refused,
    register,
)

LIMIT = FailureLimit(5, timedelta(minutes=15))
MOST_REQUESTS = 10_000


def guarded_app(database_url: str, redis_url: str) -> Litestar:
    records = SignIns(database_url, LIMIT)
    tools = new_tools(database_url, door=Door(records, lambda: [b"k" * 32]))
    return create_app(
        handlers=[*auth.HANDLERS, *users.HANDLERS],
        tokens=Tokens(KEYS, "first"),
        revocations=Revocations(database_url),
        provided={"intake": new_intake(tools)},
        exception_handlers=EXCEPTION_HANDLERS,
        limiter=Limiter(redis_url, Limit(MOST_REQUESTS, 900)),
        lifespan=[recorded(records), opened(tools)],
    )


@asynccontextmanager
async def recorded(records: SignIns) -> Any:
    await records.open()
    yield
    await records.close()


@pytest.fixture(scope="module")
def client(database_url: str, redis_url: str) -> Iterator[Client]:
    asyncio.run(create_admin(database_url))
    with TestClient(guarded_app(database_url, redis_url)) as running:
        yield running


@pytest.fixture(autouse=True)
def nobody_is_locked(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute("truncate sign_ins")


def log_in(client: Client, email: str, password: str, **headers: str) -> Any:
    body = {"email": email, "password": password}
    return client.post("/api/v1/auth/login", json=body, headers=headers)


def kinds(database_url: str) -> list[Any]:
    with psycopg.connect(database_url) as connection:
        cursor = connection.execute("select kind, user_id, agent from sign_ins order by number")
        return cursor.fetchall()


def test_a_lock_says_when_to_come_again_and_not_whether_the_password_was_right(
    client: Client,
) -> None:
    person = register(client)
    for _ in range(5):
        refused(log_in(client, person.email, "wrong password"), 401, "INVALID_CREDENTIALS")
    answers = [log_in(client, person.email, word) for word in ("wrong password", PASSWORD)]
    for answer in answers:
        error = refused(answer, 429, "RATE_LIMITED")
        assert error == {
            "code": "RATE_LIMITED",
            "message": "Too many sign-ins failed: try again later.",
        }
        wait = int(answer.headers["retry-after"])
        assert 890 <= wait <= 900
        assert f'"login";r=0;t={wait}' in answer.headers["ratelimit"]
        assert re.search(r'"default";r=\d+;t=\d+', answer.headers["ratelimit"])
        assert '"login";q=5;w=900' in answer.headers["ratelimit-policy"]
        assert answer.headers["ratelimit-remaining"] == "0"
        assert answer.headers.get_list("ratelimit-reset") == [str(wait)]


def test_sign_ins_that_succeed_do_not_count(client: Client) -> None:
    person = register(client)
    for _ in range(7):
        assert log_in(client, person.email, PASSWORD).status_code == 200
    refused(log_in(client, person.email, "wrong password"), 401, "INVALID_CREDENTIALS")


def test_a_lock_outlasts_all_that_redis_holds(client: Client, redis_url: str) -> None:
    """F31: it is in Postgres; how often somebody asked is in Redis, and is forgotten there."""
    person = register(client)
    for _ in range(5):
        refused(log_in(client, person.email, "wrong password"), 401, "INVALID_CREDENTIALS")
    before = log_in(client, person.email, PASSWORD)
    with closing(Redis.from_url(redis_url)) as redis:
        redis.flushall()
    answer = log_in(client, person.email, PASSWORD)
    assert refused(answer, 429, "RATE_LIMITED")["message"].startswith("Too many sign-ins failed")
    assert asked(before) > asked(answer) == 1


def asked(answer: Any) -> int:
    """Return how many requests are counted so far of whoever asks."""
    found = re.search(r'"default";r=(\d+);', answer.headers["ratelimit"])
    assert found is not None
    return MOST_REQUESTS - int(found[1])


def test_unknown_and_known_addresses_are_answered_the_same(client: Client) -> None:
    person = register(client)
    known = log_in(client, person.email, "wrong password")
    unknown = log_in(client, f"{uuid4().hex}@example.com", "wrong password")
    assert known.status_code == unknown.status_code == 401
    assert known.json()["error"] == unknown.json()["error"]
    assert known.headers.keys() == unknown.headers.keys()


def test_a_lock_is_no_answer_that_is_remembered(client: Client) -> None:
    person = register(client)
    for _ in range(6):
        log_in(client, person.email, "wrong password")
    body = {"currentPassword": PASSWORD, "newPassword": "another password"}
    key = {"Idempotency-Key": uuid4().hex}
    path = f"/users/{person.id}/password"
    answer = person.ask("PUT", path, body, **key)
    refused(answer, 429, "RATE_LIMITED")
    assert "retry-after" in answer.headers
    assert "idempotency-replayed" not in person.ask("PUT", path, body, **key).headers


def test_a_repeated_change_of_password_is_no_failure(client: Client, database_url: str) -> None:
    person = register(client)
    body = {"currentPassword": PASSWORD, "newPassword": "another password"}
    path, key = f"/users/{person.id}/password", {"Idempotency-Key": uuid4().hex}
    first = person.ask("PUT", path, body, **key)
    data_of(first)
    for _ in range(7):
        again = person.ask("PUT", path, body, **key)
        assert (again.status_code, again.content) == (200, first.content)
        assert again.headers["idempotency-replayed"] == "true"
    assert "failed" not in [kind for kind, *_ in kinds(database_url)]
    another = {**body, "newPassword": "yet another password"}
    refused(person.ask("PUT", path, another, **key), 422, "IDEMPOTENCY_KEY_REUSED")
    assert "failed" in [kind for kind, *_ in kinds(database_url)]  # a guess is one under any key


def test_what_became_of_a_session_is_recorded(client: Client, database_url: str) -> None:
    person = register(client)
    agent = {"User-Agent": "ada's \x7fphone"}
    first = person.refresh_token
    pair = data_of(client.post("/api/v1/auth/refresh", json={"refreshToken": first}, headers=agent))
    answer = client.post("/api/v1/auth/refresh", json={"refreshToken": first}, headers=agent)
    refused(answer, 401, "REFRESH_REUSED")
    refused(
        client.post("/api/v1/auth/refresh", json={"refreshToken": pair["refreshToken"]}),
        401,
        "UNAUTHENTICATED",
    )
    person.sign_in()
    person.ask("POST", "/auth/logout")
    found = kinds(database_url)
    assert [kind for kind, *_ in found] == [
        "signed_in",
        "refreshed",
        "reused",
        "signed_in",
        "signed_out",
    ]
    assert {str(user) for _, user, _ in found} == {person.id}
    assert found[1][2] == "ada's  phone"


def test_a_lock_is_recorded_once(client: Client, database_url: str) -> None:
    email = f"{uuid4().hex}@example.com"
    for _ in range(9):
        log_in(client, email, "wrong password")
    assert [kind for kind, *_ in kinds(database_url)] == ["failed"] * 5 + ["locked_out"]
