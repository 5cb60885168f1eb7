"""The application of the read side's tests, asked in GraphQL."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.api.conftest import Client, Json, Person
from tests.api.read.conftest import client, post, stranger

__all__ = ["client", "post", "stranger"]

Ask = Callable[..., httpx.Response]


@pytest.fixture(scope="module")
def ask(client: Client) -> Ask:
    """Give what asks a question for somebody, or for nobody."""

    def asked(person: Person | None, query: str, headers: Any = None, **variables: object) -> Any:
        signed = {"Authorization": f"Bearer {person.access_token}"} if person else {}
        body = {"query": query, "variables": variables}
        return client.post("/graphql", json=body, headers=signed | (headers or {}))

    return asked


def found(answer: httpx.Response) -> Json:
    """Return what was found, all of it."""
    assert answer.status_code == 200, answer.text
    body: Json = answer.json()
    assert "errors" not in body, body
    data: Json = body["data"]
    return data


def codes(answer: httpx.Response) -> list[str]:
    """Return the codes of an answer's errors."""
    return [one["extensions"]["code"] for one in answer.json()["errors"]]
