"""What every answer has: the envelope, the request's id, headers; errors of the router too."""

import re
from collections.abc import Awaitable, Callable
from uuid import uuid4

import pytest
from litestar.testing import TestClient
from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs

from api.application import create_app
from api.envelope import pagination
from api.guards import ANYONE
from api.health import health
from api.request import ApiRequest
from api.revocations import Revocations
from api.routes import route
from api.tokens import Claims, Tokens
from event_store.records import StoreOverloaded, StoreUnavailable
from tests.api.conftest import KEYS, Client, Person, list_product, new_app, refused
from tests.api.permissions import COMMANDS
from tests.conftest import tampering

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def test_a_success_has_the_envelope(client: Client) -> None:
    answer = client.get("/health/live")
    body = answer.json()
    assert list(body) == ["success", "data", "meta"]
    assert body["success"] is True
    assert TIME.fullmatch(body["meta"]["timestamp"])
    assert body["meta"]["requestId"] == answer.headers["x-request-id"]
    assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize("path", ["/health/live", "/nowhere", "/api/v1/users/me", "/docs"])
def test_every_answer_says_what_a_browser_may_do_with_it(client: Client, path: str) -> None:
    """A success, a refusal, one for lack of a token, and a page."""
    headers = client.get(path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    policy = headers["content-security-policy"]
    assert policy.startswith("default-src 'none'")
    assert "frame-ancestors 'none'" in policy


@pytest.mark.parametrize("given", ["abc", "a.b_c-9", "x" * 128])
def test_a_valid_request_id_comes_back(client: Client, given: str) -> None:
    answer = client.get("/health/live", headers={"X-Request-ID": given})
    assert answer.headers["x-request-id"] == given


@pytest.mark.parametrize("given", ["", "x" * 129, "a b", "a\tb", "<script>", "a;b"])
def test_an_invalid_request_id_is_replaced(client: Client, given: str) -> None:
    answer = client.get("/health/live", headers={"X-Request-ID": given})
    assert answer.headers["x-request-id"] != given
    assert len(answer.headers["x-request-id"]) == 32


def test_the_router_s_own_errors_have_the_envelope(client: Client) -> None:
    refused(client.get("/nowhere"), 404, "NOT_FOUND")
    answer = client.get("/api/v1/auth/login")
    refused(answer, 405, "METHOD_NOT_ALLOWED")
    assert answer.headers["allow"] == "OPTIONS, POST"
    answer = client.post("/health/live")
    refused(answer, 405, "METHOD_NOT_ALLOWED")
    assert answer.headers["allow"] == "GET, HEAD, OPTIONS"


def test_authenticated_answers_are_not_stored(client: Client, customer: Person) -> None:
    assert customer.ask("POST", "/orders", {}).headers["cache-control"] == "no-store"
    assert customer.ask("GET", "/nowhere").headers["cache-control"] == "no-store"
    assert client.get("/health/live").headers["cache-control"] == "no-cache"


@pytest.mark.parametrize("name", ["access_token", "token", "Authorization"])
def test_a_token_in_an_address_is_no_credential(
    client: Client, customer: Person, name: str
) -> None:
    """RFC 6750, 5.3: addresses are logged and kept."""
    answer = client.post(f"/api/v1/orders?{name}={customer.access_token}", json={})
    refused(answer, 401, "UNAUTHENTICATED")


def test_who_is_refused_is_in_the_log(client: Client, customer: Person) -> None:
    """What is forbidden, and what nobody signed in for, with who, from where and which request."""
    with capture_logs(processors=[merge_contextvars]) as lines:
        customer.ask("POST", "/products", {}, X_Request_ID="no-1")
        client.post("/api/v1/products", json={}, headers={"X-Request-ID": "no-2"})
    told = [one for one in lines if one["event"] == "request_refused"]
    assert [(one["code"], one["user_id"], one["request_id"]) for one in told] == [
        ("FORBIDDEN", customer.id, "no-1"),
        ("UNAUTHENTICATED", None, "no-2"),
    ]
    assert all(one["address"] and one["path"] == "/api/v1/products" for one in told)


def test_the_document_names_every_operation_once(client: Client) -> None:
    document = client.get("/openapi.json").json()
    operations = [one for path in document["paths"].values() for one in path.values()]
    ids = [one["operationId"] for one in operations]
    assert document["openapi"].startswith("3.1")
    assert len(ids) == len(set(ids)) == len(COMMANDS) + len({"live", "ready"})
    assert all(one["summary"] for one in operations)
    assert document["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"
    order = document["paths"]["/api/v1/orders"]["post"]
    assert {"400", "401", "403", "409", "413", "415", "422", "500", "503"} < set(order["responses"])
    headers = {"Daybook-Position", "ETag", "Idempotency-Replayed", "Location"}
    assert set(order["responses"]["201"]["headers"]) == headers
    assert document["components"]["schemas"]["NewOrder"]["additionalProperties"] is False


def test_the_documentation_page_needs_nothing_from_elsewhere(client: Client) -> None:
    page = client.get("/docs")
    assert page.headers["content-type"].startswith("text/html")
    assert "script-src 'self'" in page.headers["content-security-policy"]
    for path in re.findall(r'(?:src|href)="([^"]+)"', page.text):
        assert path.startswith("/"), path
        assert client.get(path).is_success, path
    assert "http" not in client.get("/docs/docs.js").text.replace("hosts", "")


def test_a_page_knows_its_neighbours() -> None:
    first = pagination(1, 20, 41)
    assert (first.total_pages, first.has_next, first.has_prev) == (3, True, False)
    last = pagination(3, 20, 41)
    assert (last.has_next, last.has_prev) == (False, True)
    empty = pagination(1, 20, 0)
    assert (empty.total_pages, empty.has_next, empty.has_prev) == (0, False, False)


def failing(error: Exception) -> Client:
    """Return a client of an application whose only route fails."""

    @route("GET", "/fail", who=ANYONE, summary="Fail", tag="Test")
    async def fail(request: ApiRequest) -> None:  # noqa: ARG001 - Litestar gives it
        raise error

    app = create_app(
        handlers=[fail],
        tokens=Tokens(KEYS, "first"),
        revocations=Revocations("postgresql://127.0.0.1:1/none"),
        provided={},
    )
    return TestClient(app)


@pytest.mark.parametrize(
    "error", [KeyError("secret"), RecursionError("secret"), AssertionError("secret")]
)
def test_a_fault_of_ours_says_nothing_internal(error: Exception) -> None:
    with failing(error) as client:
        answer = client.get("/fail")
    refused(answer, 500, "INTERNAL_ERROR")
    assert "secret" not in answer.text


@pytest.mark.parametrize("error", [StoreUnavailable("away"), StoreOverloaded("full")])
def test_a_store_that_is_away_is_unavailable(error: Exception) -> None:
    with failing(error) as client:
        answer = client.get("/fail")
    refused(answer, 503, "UNAVAILABLE")
    assert int(answer.headers["retry-after"]) > 0


def test_tokens_are_not_believed_while_the_log_cannot_be_read() -> None:
    with failing(KeyError()) as client:
        token = Tokens(KEYS, "first").issue(Claims(uuid4(), uuid4(), "customer", 1))
        answer = client.get("/fail", headers={"Authorization": f"Bearer {token}"})
    refused(answer, 503, "UNAVAILABLE")


def with_checks(check: Callable[[], Awaitable[str | None]]) -> Client:
    """Return a client of an application with one check and one report that fails."""

    async def lag() -> object:
        raise KeyError

    app = create_app(
        handlers=health({"postgres": check}, {"redis": lag}),
        tokens=Tokens(KEYS, "first"),
        revocations=Revocations("postgresql://127.0.0.1:1/none"),
        provided={},
    )
    return TestClient(app)


def test_ready_says_why_it_is_not() -> None:
    async def away() -> str | None:
        return "Postgres is away."

    async def broken() -> str | None:
        raise OSError

    async def well() -> str | None:
        return None

    with with_checks(away) as client:
        error = refused(client.get("/health/ready"), 503, "UNAVAILABLE")
        assert error["details"] == [{"field": "postgres", "message": "Postgres is away."}]
    with with_checks(broken) as client:
        refused(client.get("/health/ready"), 503, "UNAVAILABLE")
    with with_checks(well) as client:
        assert client.get("/health/ready").json()["data"]["details"] == {"redis": "unknown"}
        assert client.get("/health/live").is_success


def test_what_a_newer_release_wrote_is_unavailable_and_not_a_fault(
    admin: Person, database_url: str
) -> None:
    product = list_product(admin)
    with tampering(database_url) as connection:
        connection.execute("update events set schema_version = 99 where stream_id = %s", [product])
    with TestClient(new_app(database_url, Tokens(KEYS, "first"))) as other:
        elsewhere = Person(other, admin.email)
        answer = elsewhere.ask("PATCH", f"/products/{product}", {"name": "Another"})
    refused(answer, 503, "UNAVAILABLE")
    assert answer.headers["retry-after"] == "5"
