"""Questions in GraphQL that schemathesis makes up from the schema: each may be asked."""

import re
from collections import Counter
from typing import Any

import httpx
import pytest
import schemathesis
from graphql import (
    REMOVE,
    ArgumentNode,
    IntValueNode,
    StringValueNode,
    Visitor,
    parse,
    print_ast,
    visit,
)
from hypothesis import HealthCheck, Phase, given, seed, settings
from schemathesis import Case

from api.graphql.schema import FILE
from tests.fuzzing.campaign import EXAMPLES, SEED
from tests.fuzzing.people import ROLES, signed_in
from tests.stories.running import Running

FEW = 5
LIMITS = re.compile(r"exceeds maximum operation depth|\d+ aliases found|may hold|too many tokens")
# What a good question may be told of a field: its arguments, what is not there, what one may not.
CODES = {"MALFORMED_REQUEST", "NOT_FOUND", "FORBIDDEN", "UNAUTHENTICATED"}
WHOLE = {"user", "users", "order", "orders", "product", "products", "me"}

pytestmark = pytest.mark.timeout(3_600)

quickly = settings(
    max_examples=max(EXAMPLES, FEW),
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.mark.parametrize("role", ROLES if EXAMPLES else ROLES[:1])
def test_whatever_may_be_asked_is_answered(daybook: Running, role: str) -> None:
    told: Counter[str] = Counter()
    token = signed_in(daybook, role)
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    with httpx.Client(base_url=f"http://127.0.0.1:{daybook.port}", headers=headers) as client:
        for result in schemathesis.graphql.from_path(FILE).get_all_operations():
            operation: Any = result.ok()

            @seed(SEED)
            @quickly
            @given(case=operation.as_strategy())
            def ask(case: Case) -> None:
                for question in (str(case.body), tamed(str(case.body))):
                    answer = client.post("/graphql", json={"query": question}, timeout=30)
                    told.update(outcomes(answer, question))

            ask()
            told[operation.label] += 1
    print(role, dict(told))  # noqa: T201 - `make fuzz` shows it
    assert {f"Query.{name}" for name in WHOLE} <= told.keys()
    assert told["found"] > 0


class Tamer(Visitor):
    """Takes from a question what nobody can make up: cursors and texts of a certain form."""

    @staticmethod
    def enter_argument(node: ArgumentNode, *_: object) -> Any:
        """Leave ids, orders and few entries."""
        name = node.name.value
        if name == "first":
            return ArgumentNode(name=node.name, value=IntValueNode(value="3"))
        if name == "last" or (isinstance(node.value, StringValueNode) and name != "id"):
            return REMOVE
        return None


def tamed(question: str) -> str:
    """Return a question that can be answered."""
    return print_ast(visit(parse(question), Tamer()))


def outcomes(answer: httpx.Response, question: str) -> list[str]:
    """Return how a question was answered: each of these ways must be allowed."""
    body = answer.json()
    errors = body.get("errors", [])
    codes = {one["extensions"]["code"] for one in errors}
    if answer.status_code == httpx.codes.BAD_REQUEST:
        assert answer.headers["content-type"] == "application/graphql-response+json"
        assert body["data"] is None
        assert all(LIMITS.search(one["message"]) for one in errors), (question, errors)
        return ["limited"]
    assert answer.status_code == httpx.codes.OK, (question, answer.text)
    assert codes <= CODES, (question, errors)
    assert all(one["path"] for one in errors), (question, errors)
    return sorted(codes) or ["found"]
