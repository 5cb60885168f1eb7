"""All of schemathesis' phases and checks over both documents, as each role, on a whole Daybook."""

from collections.abc import Iterator

import pytest

from tests.fuzzing.campaign import EXAMPLES, campaign
from tests.fuzzing.people import ROLES
from tests.stories.running import Running, running_daybook

DOCUMENTS = ("/openapi.json", "/openapi-v2.json")
# All that there is takes minutes for each role: `make fuzz`.
FEW = {
    "admin": "/(orders|products)$",
    "staff": "/(reports|users)",
    "auditor": "/audit/(events|accesses|head)",
    "customer": "/(users/me|orders/)",
    "nobody": "/(auth|health|products)",
}

pytestmark = [pytest.mark.xdist_group("campaign"), pytest.mark.timeout(3_600)]


@pytest.fixture(scope="module")
def daybook() -> Iterator[Running]:
    """Run a Daybook in which nobody is asked to wait."""
    with running_daybook(DAYBOOK_LOGIN_RATE_LIMIT="off", DAYBOOK_RATE_LIMIT="off") as running:
        yield running


@pytest.mark.parametrize("document", DOCUMENTS)
@pytest.mark.parametrize("role", ROLES)
def test_whoever_asks_whatever_is_answered_as_documented(
    daybook: Running, role: str, document: str
) -> None:
    if EXAMPLES:
        outcome = campaign(daybook, document, role)
    else:
        phases = ("examples", "fuzzing", "stateful")
        outcome = campaign(daybook, document, role, examples=1, phases=phases, only=FEW[role])
    assert not outcome.problems, str(outcome)
    assert outcome.asked or document != DOCUMENTS[0]
