"""Pages elsewhere: none may read an answer unless its origin is listed (S31)."""

import pytest
from litestar.testing import TestClient

from api.application import create_app
from api.cors import EXPOSED
from api.health import health
from api.rate_headers import rate_headers
from api.revocations import Revocations
from api.tokens import Tokens
from tests.api.conftest import KEYS, Client

SHOP = "https://shop.example.com"


def answering(*origins: str) -> Client:
    return TestClient(
        create_app(
            handlers=health({}, {}),
            tokens=Tokens(KEYS, "first"),
            revocations=Revocations("postgresql://127.0.0.1:1/none"),
            provided={},
            origins=origins,
        )
    )


def asked(client: Client, origin: str) -> dict[str, str]:
    headers = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    return dict(client.options("/health/live", headers=headers).headers)


def test_nobody_is_let_in_by_default() -> None:
    with answering() as client:
        answer = client.get("/health/live", headers={"Origin": SHOP})
        assert not any(name.startswith("access-control") for name in answer.headers)
        assert not any(name.startswith("access-control") for name in asked(client, SHOP))


def test_a_listed_origin_may_read_answers_and_errors() -> None:
    with answering(SHOP) as client:
        for path in ("/health/live", "/nowhere"):
            answer = client.get(path, headers={"Origin": SHOP})
            assert answer.headers["access-control-allow-origin"] == SHOP
            assert "origin" in answer.headers["vary"]
            assert "daybook-position" in answer.headers["access-control-expose-headers"]
            assert "access-control-allow-credentials" not in answer.headers
        found = asked(client, SHOP)
        assert found["access-control-allow-origin"] == SHOP
        assert "PATCH" in found["access-control-allow-methods"]
        assert "idempotency-key" in found["access-control-allow-headers"]
        assert found["x-content-type-options"] == "nosniff"


def test_a_page_may_read_how_many_requests_are_left() -> None:
    told = {name for name, _ in rate_headers(b"default", 100, 900, 99, 900)}
    assert told <= set(EXPOSED.split(b", "))


@pytest.mark.parametrize(
    "origin",
    ["null", "https://evil.example", f"{SHOP}.evil.example", f"{SHOP}:8443", "http" + SHOP[5:]],
)
def test_any_other_origin_may_not(origin: str) -> None:
    with answering(SHOP) as client:
        answer = client.get("/health/live", headers={"Origin": origin})
        assert "access-control-allow-origin" not in answer.headers
        assert answer.headers["vary"] == "origin"
        assert "access-control-allow-origin" not in asked(client, origin)
