"""All of schemathesis' phases and checks over both documents, as each role, on a whole Daybook."""

import re
from collections import Counter

import httpx
import pytest

from tests.fuzzing.campaign import EXAMPLES, campaign
from tests.fuzzing.exceptions import EXCEPTIONS, LEFT_OUT
from tests.fuzzing.people import ROLES
from tests.stories.running import Running

DOCUMENTS = ("/openapi.json", "/openapi-v2.json")
WHOLE = len(DOCUMENTS) * len(ROLES)
# All that there is takes minutes for each role: `make fuzz`.
FEW = {
    "admin": "/(orders|products)$",
    "staff": "/(reports|users)",
    "auditor": "/(audit/(events|accesses|head)|users/me)",
    "customer": "/(users/me|orders/)",
    "nobody": "/(auth|health|products)",
}
# Each with other edges; a second of requests for each ten of paths.
EDGES = {
    "admin": r"/(\{projection\}/throttle|\{position\}/skip|\{user_id\}/role)$",
    "staff": r"/v1/(products/\{product_id\}(/stock-adjustments)?|orders/\{order_id\}/payment)$",
    "auditor": r"/audit/(accesses|streams/.*|events/.*|proofs/.*|head)$",
    "customer": r"/v1/(users/me|orders/\{order_id\}/cancellation)$",
    "nobody": r"/(auth/(login|refresh)|health/.*|graphql)$",
}

pytestmark = [pytest.mark.xdist_group("campaign"), pytest.mark.timeout(3_600)]


@pytest.fixture(scope="module")
def needed() -> Counter[str]:
    """Count by its reason how often each exception was needed; under "" the whole campaigns."""
    return Counter()


@pytest.mark.parametrize("document", DOCUMENTS)
@pytest.mark.parametrize("role", ROLES)
def test_whoever_asks_whatever_is_answered_as_documented(
    daybook: Running, role: str, document: str, needed: Counter[str]
) -> None:
    if EXAMPLES:
        outcome = campaign(daybook, document, role)
        needed.update(outcome.excepted)
        needed[""] += 1
    else:
        phases = ("examples", "fuzzing")
        outcome = campaign(daybook, document, role, examples=1, phases=phases, only=FEW[role])
    print(role, document, outcome)  # noqa: T201 - `make fuzz` shows it
    assert not outcome.problems, str(outcome)
    assert outcome.asked.total() > 1
    assert outcome.linked or not EXAMPLES


@pytest.mark.parametrize("role", ROLES)
def test_the_edges_of_what_is_documented_are_known(daybook: Running, role: str) -> None:
    outcome = campaign(
        daybook, DOCUMENTS[0], role, examples=1, phases=["coverage"], only=EDGES[role]
    )
    assert not outcome.problems, str(outcome)
    assert outcome.asked["coverage"] > 100, outcome


@pytest.mark.parametrize("document", DOCUMENTS)
def test_the_links_are_followed(daybook: Running, document: str) -> None:
    paths = "/v1/(orders|products)|/v2/"
    outcome = campaign(daybook, document, "admin", examples=4, phases=["stateful"], only=paths)
    assert not outcome.problems, str(outcome)
    succeeded = {link for link in outcome.linked if link.endswith(("200", "201", "204"))}
    assert len(succeeded) > 1, outcome.linked


def test_an_exception_is_of_operations_that_there_are(daybook: Running) -> None:
    root = f"http://127.0.0.1:{daybook.port}"
    found = [httpx.get(f"{root}{document}").json()["paths"] for document in DOCUMENTS]
    known = {f"{m.upper()} {path}" for paths in found for path, ms in paths.items() for m in ms}
    assert known >= LEFT_OUT
    for one in EXCEPTIONS:
        assert any(re.fullmatch(one.operations, label) for label in known), one


def test_no_exception_is_idle(needed: Counter[str]) -> None:
    if needed[""] < WHOLE:
        pytest.skip("only all campaigns together need all exceptions")
    idle = [one.why for one in EXCEPTIONS if not needed[one.why]]
    print("needed by nothing this time:", *idle, sep="\n  ")  # noqa: T201 - `make fuzz` shows it
    assert len(idle) < len(EXCEPTIONS) / 3, idle
