"""All of schemathesis' phases and checks over both documents, as each role, on a whole Daybook."""

import re
from collections import Counter
from uuid import uuid4

import httpx
import pytest

from domain.product import LARGEST_STOCK
from tests.fuzzing.campaign import EXAMPLES, SEED, campaign
from tests.fuzzing.exceptions import EXCEPTIONS, LEFT_OUT, V1
from tests.fuzzing.people import LONG, PASSWORD, ROLES, keeper
from tests.stories.running import Running, data_of

POUND = {"amount": "1.00", "currency": "GBP"}
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

pytestmark = pytest.mark.timeout(3_600)


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
    print(role, document, f"FUZZ_SEED={SEED}", outcome)  # noqa: T201 - `make fuzz` shows it
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
    for examples in (4, 8, 16):  # few make up a request that a link can be followed from
        outcome = campaign(
            daybook, document, "admin", examples=examples, phases=["stateful"], only=paths
        )
        assert not outcome.problems, str(outcome)
        # What each leads to is shown one by one in tests/api/read/test_links.py.
        if any(link.endswith(("200", "201", "204")) for link in outcome.linked):
            return
    pytest.fail(str(outcome.linked))


def test_an_exception_is_of_operations_that_there_are(daybook: Running) -> None:
    root = f"http://127.0.0.1:{daybook.port}"
    found = [httpx.get(f"{root}{document}").json()["paths"] for document in DOCUMENTS]
    known = {f"{m.upper()} {path}" for paths in found for path, ms in paths.items() for m in ms}
    assert known >= LEFT_OUT
    for one in EXCEPTIONS:
        assert any(re.fullmatch(one.operations, label) for label in known), one


def test_what_few_campaigns_come_to_is_excepted_for_what_is_said(daybook: Running) -> None:
    """These need an order, a stock or a password that is seldom made up: asked here by hand."""
    with httpx.Client(
        base_url=f"http://127.0.0.1:{daybook.port}",
        headers={"Authorization": f"Bearer {keeper(daybook)}"},
        timeout=30,
    ) as client:
        new = {"sku": f"FEW-{uuid4()}", "name": "Tea", "price": POUND, "stock": LARGEST_STOCK}
        product = data_of(client.post(f"{V1}/products", json=new))["id"]
        items = [{"productId": product, "quantity": 2}]
        order = data_of(client.post(f"{V1}/orders", json={"items": items}))["id"]
        more = {"quantity": LARGEST_STOCK, "reason": "found"}
        pay = {"reference": "PAY-1", "amount": POUND}
        common = {"email": "somebody@example.com", "name": "Ada", "password": "password1"}
        composed = {**common, "password": PASSWORD, "name": "A\u0301"}
        few = {
            "/orders/{order_id}/payment": (f"/orders/{order}/payment", pay),
            "/products/{product_id}/stock-adjustments": (
                f"/products/{product}/stock-adjustments",
                more,
            ),
        }
        asked = [*few.items(), ("/users", ("/users", common)), ("/users", ("/users", composed))]
        for path, (where, body) in asked:
            answer = client.post(f"{V1}{where}", json=body)
            assert answer.status_code == httpx.codes.UNPROCESSABLE_ENTITY, answer.text
            for told in answer.json()["error"]["details"]:
                assert any(
                    re.fullmatch(one.operations, f"POST {V1}{path}")
                    and re.search(one.said, told["message"])
                    and re.fullmatch(one.field, told["field"])
                    for one in EXCEPTIONS
                ), told
        position = client.delete(f"{V1}/products/{product}").headers["daybook-position"]
        seen = {"Daybook-Min-Position": position, "Prefer": LONG}
        shown = client.get(f"{V1}/products/{product}", headers=seen)
        assert data_of(shown)["status"] == "withdrawn"


def test_no_exception_is_idle(needed: Counter[str]) -> None:
    if needed[""] < WHOLE:
        pytest.skip("only all campaigns together need all exceptions")
    idle = [one.why for one in EXCEPTIONS if not needed[one.why]]
    print("needed by nothing this time:", *idle, sep="\n  ")  # noqa: T201 - `make fuzz` shows it
    assert len(idle) < len(EXCEPTIONS) / 3, idle
