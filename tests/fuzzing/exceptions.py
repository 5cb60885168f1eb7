"""What schemathesis holds to be wrong and is not, each with the reason; and what is not asked."""

import re

from schemathesis.core.failures import AcceptedNegativeData, Failure
from schemathesis.core.transport import Response
from schemathesis.generation.case import Case
from schemathesis.openapi.checks import RejectedPositiveData

LEFT_OUT = {
    # They do not end by themselves: tests/api/read/test_live.py asks for them.
    "GET /api/v1/feed",
    "GET /api/v1/orders/{order_id}/events",
}

# What is refused although its schema allows it: what the answer says, and why that is right.
NO_SCHEMA_SAYS = {
    r"Pages reach to row 10000": "the product of two parameters is bounded",
    r"This must be (a comma list|one of)": "what may be asked for depends on groupBy",
    r"What is personal is sealed in the past": "it depends on asOf",
    r"This has not passed yet": "the past ends where the log does",
    r"This must be a cursor of this list": "a cursor is sealed, so it cannot be made up",
    r"There is no such (product|user)\.": "what a body refers to must exist",
    r"This product is in the order already": "items must differ in one of their fields",
    r"The amount must equal the total": "what is paid is what was ordered",
    r"Stock would be more than": "it depends on the stock that there is",
    r"Expected int, got float": "JSON Schema holds 50.0 for a whole number; bodies write 50",
    r"This is not an e-mail address": "addresses have more rules than their format",
    r"(common|guess)": "passwords that everybody tries first are refused",
    r"At least 2 characters": "two code points of a name may be one character (NFC)",
    r"At most \d+ characters": "code points of a text may become several (NFC)",
    r"must be sent once|IDEMPOTENCY_KEY_REUSED": "an earlier request had that key",
    r"PRECONDITION_FAILED": "the version in If-Match is that of now or it is not",
}
UNKNOWN_HEADER = "in header - object with unexpected properties"
TAG_NEEDED = "Match must be"
UNAVAILABLE = 503
QUERY = "a string is seldom a question in GraphQL: test_graphql.py makes up such"


def reason_for(failure: Failure, case: Case, response: Response) -> str:
    """Return why a failure is none; empty: it is one."""
    if isinstance(failure, AcceptedNegativeData) and UNKNOWN_HEADER in failure.message:
        return "unknown headers are to be ignored (RFC 9110, 5.1)"
    if b'"VIEW_BEHIND"' in response.content and response.status_code == UNAVAILABLE:
        return "Daybook-Min-Position asked for more than there is"
    if isinstance(failure, RejectedPositiveData):
        if case.operation.label == "POST /graphql":
            return QUERY
        said = response.content.decode()
        if TAG_NEEDED in said and not any('"' in str(one) for one in (case.headers or {}).values()):
            return "schemathesis' coverage phase makes headers of letters and digits alone"
        return next((why for what, why in NO_SCHEMA_SAYS.items() if re.search(what, said)), "")
    return ""
