"""Whatever is asked, right or wrong: no server error, and no answer that is not documented."""

from typing import Any

import httpx
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import Failure
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from api.graphql.schema import FILE
from tests.api.conftest import Client, Json, Person
from tests.fuzzing.conftest import EXAMPLES, documents

# What depends on data that schemathesis cannot know (cursors, versions, states) is not among them.
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
# These never end, or end the session that all of this is asked in.
LEFT_OUT = {"GET /api/v1/feed", "GET /api/v1/orders/{order_id}/events", "POST /api/v1/auth/logout"}
ROOT = "http://testserver.local"
UNAVAILABLE, BEHIND = 503, "VIEW_BEHIND"
FEW = 5  # up to here a third is asked rightly, a third wrongly, a third not

quickly = settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    derandomize=EXAMPLES <= FEW,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


def test_whatever_is_asked_is_answered_as_documented(
    client: Client, admin: Person, known: Json
) -> None:
    problems: list[str] = []
    asked = 0

    def check(operation: Any, mode: GenerationMode) -> None:
        @quickly
        @given(case=operation.as_strategy(generation_mode=mode))
        def ask(case: Case) -> None:
            nonlocal asked
            asked += 1
            answer = answered(client, admin, known, case)
            if answer.status_code == UNAVAILABLE and BEHIND in answer.text:
                return  # as was asked for
            case.validate_response(answer, checks=CHECKS)

        try:
            ask()
        except* Unsatisfiable:
            pass  # nothing of it can be wrong
        except* Failure as group:
            problems.extend(f"{operation.label}: {one}" for one in group.exceptions)

    for number, operation in enumerate(operations(client)):
        for turn, mode in enumerate(GenerationMode):
            if EXAMPLES > FEW or number % 3 == turn:
                check(operation, mode)
    assert asked > 25
    assert not problems, "\n\n".join(problems)


def operations(client: Client) -> list[Any]:
    """Return the operations of both documents."""
    schemas = [schemathesis.openapi.from_dict(one) for one in documents(client)]
    found = [one.ok() for schema in schemas for one in schema.get_all_operations()]
    return [one for one in found if one.label not in LEFT_OUT]


def answered(client: Client, admin: Person, known: Json, case: Case) -> httpx.Response:
    """Send a request; every other one is about something that is there."""
    parameters = case.path_parameters or {}
    for name in parameters.keys() & known.keys():
        if len(str(parameters[name])) % 2 == 0:
            case.path_parameters[name] = known[name]
    arguments = case.as_transport_kwargs(base_url=ROOT)
    made = requests.Request(**arguments).prepare()
    signed = {"Authorization": f"Bearer {admin.access_token}", "Prefer": "wait=0"}
    given = {**dict(made.headers), **signed}
    headers = [
        (name.encode(), value if isinstance(value, bytes) else value.encode())
        for name, value in given.items()
        if name != "Content-Length"
    ]
    return client.request(made.method, made.url, headers=headers, content=made.body)


def test_whatever_is_asked_in_graphql_is_answered(client: Client, admin: Person) -> None:
    asked = 0
    for result in schemathesis.graphql.from_path(FILE).get_all_operations():
        operation = result.ok()

        @settings(quickly, max_examples=EXAMPLES * 3)
        @given(case=operation.as_strategy())
        def ask(case: Case) -> None:
            nonlocal asked
            asked += 1
            headers = {"Authorization": f"Bearer {admin.access_token}"}
            answer = client.post("/graphql", json={"query": case.body}, headers=headers)
            assert answer.status_code in {200, 400, 422}, answer.text
            errors = answer.json().get("errors", [])
            assert "INTERNAL_ERROR" not in {one["extensions"]["code"] for one in errors}, case.body

        ask()
    assert asked >= EXAMPLES
