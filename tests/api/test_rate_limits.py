"""Rate limits over HTTP: who is counted, what is said, and what costs nothing (S15, S26, S42)."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

import pytest
from litestar.testing import TestClient
from litestar.types import ASGIApp, Receive, Scope, Send

from api.addresses import Addresses
from api.application import create_app
from api.guards import ANYONE
from api.health import health
from api.limiter import Limit, Limiter
from api.rate_limits import span
from api.request import ApiRequest
from api.revocations import Revocations
from api.routes import route
from api.tokens import Claims, Tokens
from tests.api.conftest import KEYS, Client, refused

PROXY = "10.0.0.1"
RATE = re.compile(r'"default";r=(\d+);t=(\d+)')


@contextmanager
def limited(
    redis_url: str,
    database_url: str,
    requests: int = 3,
    peer: str = "",
    told: list[str] | None = None,
) -> Iterator[Client]:
    """Give a client of an application that takes so many requests in 15 minutes."""

    @route("GET", "/ask", who=ANYONE, summary="Ask", tag="Test")
    async def ask(request: ApiRequest) -> None:
        request.context  # noqa: B018 - it is there

    app = create_app(
        handlers=[ask, *health({}, {})],
        tokens=Tokens(KEYS, "first"),
        revocations=Revocations(database_url),
        provided={},
        limiter=Limiter(redis_url, Limit(requests, 900)),
        addresses=Addresses([PROXY]),
        told=(told if told is not None else []).append,
    )
    # An address of its own for each test, so that they share one Redis.
    app.asgi_handler = coming_from(peer or f"test-{uuid4().hex}", app.asgi_handler)
    with TestClient(app) as client:
        yield client


def coming_from(peer: str, inside: ASGIApp) -> ASGIApp:
    """Return the application as a peer reaches it."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        scope["client"] = (peer, 1)
        await inside(scope, receive, send)

    return app


def bearer(user_id: object) -> dict[str, str]:
    token = Tokens(KEYS, "first").issue(Claims(user_id, uuid4(), "customer", 1))
    return {"Authorization": f"Bearer {token}"}


def test_every_answer_says_what_is_left_and_the_one_too_many_is_refused(
    redis_url: str, database_url: str
) -> None:
    told: list[str] = []
    with limited(redis_url, database_url, told=told) as client:
        for left in (2, 1, 0):
            answer = client.get("/ask" if left else "/nowhere")
            assert answer.headers["ratelimit-policy"] == '"default";q=3;w=900'
            found = RATE.fullmatch(answer.headers["ratelimit"])
            assert found is not None
            assert int(found[1]) == int(answer.headers["ratelimit-remaining"]) == left
            assert 890 <= int(found[2]) == int(answer.headers["ratelimit-reset"]) <= 900
            assert answer.headers["ratelimit-limit"] == "3"
            assert "retry-after" not in answer.headers
        answer = client.get("/ask")
        error = refused(answer, 429, "RATE_LIMITED")
        assert error["message"].startswith("These were more than 3 requests in 15 minutes")
        found = RATE.fullmatch(answer.headers["ratelimit"])
        assert found is not None
        assert found[1] == "0"
        assert found[2] == answer.headers["retry-after"]
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert not any(name.startswith("x-ratelimit") for name in answer.headers)
        assert told == ["refused"]


def test_health_and_preflights_cost_nothing(redis_url: str, database_url: str) -> None:
    with limited(redis_url, database_url, requests=1) as client:
        for _ in range(3):
            assert "ratelimit" not in client.get("/health/live").headers
            client.options("/ask")
        assert client.get("/ask").status_code == 200


@pytest.mark.parametrize(
    "path", ["/metrics-of-nothing", "/health/nowhere", "/healthy", "/metrics/x"]
)
def test_what_is_only_called_like_them_costs_as_much_as_anything(
    redis_url: str, database_url: str, path: str
) -> None:
    with limited(redis_url, database_url, requests=1) as client:
        assert [client.get(path).status_code for _ in range(2)] == [404, 429]


def test_users_are_counted_each_and_addresses_apart_from_them(
    redis_url: str, database_url: str
) -> None:
    with limited(redis_url, database_url, requests=1) as client:
        alice, bob = bearer(uuid4()), bearer(uuid4())
        assert client.get("/ask").status_code == 200
        assert client.get("/ask", headers=alice).status_code == 200
        assert client.get("/ask", headers=bob).status_code == 200
        assert client.get("/ask", headers=alice).status_code == 429
        assert client.get("/ask").status_code == 429


def test_guesses_at_tokens_count_for_the_address(redis_url: str, database_url: str) -> None:
    with limited(redis_url, database_url, requests=2) as client:
        for number in range(4):
            answer = client.get("/ask", headers={"Authorization": f"Bearer guess-{number}"})
            assert answer.status_code == (401 if number < 2 else 429)


def test_a_spoofed_forwarded_address_changes_nothing(redis_url: str, database_url: str) -> None:
    with limited(redis_url, database_url, requests=1) as client:
        assert client.get("/ask", headers={"X-Forwarded-For": "1.1.1.1"}).status_code == 200
        for name in ("X-Forwarded-For", "Forwarded", "X-Real-IP", "X-Forwarded-Host", "Host"):
            assert client.get("/ask", headers={name: "2.2.2.2"}).status_code == 429


def test_behind_a_listed_proxy_each_address_counts(redis_url: str, database_url: str) -> None:
    one, other = (f"2001:db8:{uuid4().hex[:4]}:{n}::1" for n in (1, 2))
    with limited(redis_url, database_url, requests=1, peer=PROXY) as client:
        assert client.get("/ask", headers={"X-Forwarded-For": one}).status_code == 200
        assert client.get("/ask", headers={"X-Forwarded-For": other}).status_code == 200
        assert client.get("/ask", headers={"X-Forwarded-For": f"9.9.9.9, {one}"}).status_code == 429


def test_tls_is_insisted_on_where_there_is_tls(redis_url: str, database_url: str) -> None:
    with limited(redis_url, database_url, requests=9, peer=PROXY) as client:
        secure = client.get("/health/live", headers={"X-Forwarded-Proto": "https"})
        assert secure.headers["strict-transport-security"].startswith("max-age=31536000")
        assert "strict-transport-security" not in client.get("/health/live").headers


def test_requests_are_taken_without_redis(database_url: str) -> None:
    with limited("redis://127.0.0.1:1/0", database_url, requests=2) as client:
        assert [client.get("/ask").status_code for _ in range(3)] == [200, 200, 429]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(60, "1 minute"), (900, "15 minutes"), (3_600, "1 hour"), (90, "90 seconds")],
)
def test_a_span_is_said_in_words(seconds: int, words: str) -> None:
    assert span(seconds) == words
