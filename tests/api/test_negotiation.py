"""RFC 9457 beside the envelope: which form of an error Accept asks for."""

import pytest

from api.negotiation import wants_problem
from tests.api.conftest import Client, Person

PROBLEM = "application/problem+json"


@pytest.mark.parametrize(
    ("accept", "wanted"),
    [
        (PROBLEM, True),
        (f"{PROBLEM}, application/json", True),
        (f"application/json, {PROBLEM}", True),
        (f"application/json;q=0.5, {PROBLEM};q=0.9", True),
        (f"text/html, {PROBLEM.upper()} ; q=0.1", True),
        (f"application/json, {PROBLEM};q=0.9", False),
        (f"{PROBLEM};q=0", False),
        (f"{PROBLEM};q=0.000, */*", False),
        ("application/json", False),
        ("*/*", False),
        ("application/*", False),
        ("", False),
        (",;q=,;;", False),
        (f"{PROBLEM};q=nonsense", True),
    ],
)
def test_a_problem_is_for_those_who_name_it(accept: str, wanted: bool) -> None:  # noqa: FBT001 - a table of cases
    assert wants_problem(accept.encode()) is wanted


def problem_of(client: Client, method: str, path: str, **headers: str) -> dict[str, object]:
    answer = client.request(method, path, headers={"Accept": PROBLEM, **headers})
    assert answer.headers["content-type"] == PROBLEM
    assert "accept" in answer.headers["vary"].lower()
    body: dict[str, object] = answer.json()
    assert body["status"] == answer.status_code
    assert body["requestId"] == answer.headers["x-request-id"]
    assert body["title"]
    assert body["detail"]
    assert "success" not in body
    return body


def test_every_kind_of_error_can_be_a_problem(client: Client, customer: Person) -> None:
    assert problem_of(client, "GET", "/nothing")["code"] == "NOT_FOUND"
    assert problem_of(client, "TRACE", "/api/v1/orders")["code"] == "METHOD_NOT_ALLOWED"
    assert problem_of(client, "POST", "/api/v1/orders", Authorization="x")["status"] == 401
    token = f"Bearer {customer.access_token}"
    assert problem_of(client, "POST", "/api/v1/products", Authorization=token)["status"] == 403
    body = {"email": "no", "password": "x", "name": "A"}
    answer = client.post("/api/v1/users", json=body, headers={"Accept": PROBLEM})
    assert answer.json()["code"] == "VALIDATION_ERROR"
    assert answer.json()["details"][0]["field"]
    assert "password" not in str([one.get("value") for one in answer.json()["details"]])


def test_an_error_is_in_the_envelope_for_everybody_else(client: Client) -> None:
    for accept in ("*/*", "application/json", "text/html"):
        answer = client.get("/nothing", headers={"Accept": accept})
        assert answer.headers["content-type"] == "application/json"
        assert "accept" in answer.headers["vary"].lower()
        assert answer.json()["success"] is False


def test_a_success_is_no_problem(client: Client) -> None:
    answer = client.get("/health/live", headers={"Accept": PROBLEM})
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["success"] is True
