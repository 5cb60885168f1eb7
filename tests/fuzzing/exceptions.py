"""What schemathesis holds to be wrong and is not, each with where and why; and what is not asked.

An exception is for one check, some operations and, where an answer names fields, one field. All
that an answer names must be excepted; what is named besides is a finding.
"""

import re
import unicodedata
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from schemathesis.core.failures import AcceptedNegativeData, Failure, ServerError
from schemathesis.core.transport import Response
from schemathesis.generation.case import Case
from schemathesis.openapi.checks import RejectedPositiveData, UseAfterFree

from tests.fuzzing.people import AT_ONCE

LEFT_OUT = {
    # They do not end by themselves: tests/api/read/test_live.py asks for them.
    "GET /api/v1/feed",
    "GET /api/v1/orders/{order_id}/events",
}


class Asked(NamedTuple):
    """What was asked and answered, and which field of it is looked at."""

    case: Case
    response: Response
    field: str

    def header(self, name: str) -> str | None:
        """Return a header as it was sent."""
        found = self.response.request.headers.get(name)
        return found.decode("latin-1") if isinstance(found, bytes) else found

    @property
    def value(self) -> Any:
        """Return what the body has at a field such as items[0].quantity."""
        found: Any = self.case.body
        for name in re.findall(r"[^.\[\]]+", self.field):
            found = found[int(name)] if isinstance(found, list) else found[name]
        return found


class Excepted(NamedTuple):
    """What is no failure: of which operations, by which check, answered how, and why not.

    `operations`, `said` and `field` are patterns; `so` looks at the request.
    """

    operations: str
    check: type[Failure]
    said: str
    why: str
    field: str = ""
    so: Callable[[Asked], bool] = lambda _: True


def has_if_match(asked: Asked) -> bool:
    """Tell whether a version was wanted."""
    return asked.header("If-Match") is not None


def does_not_wait(asked: Asked) -> bool:
    """Tell whether a view was to answer at once: what it should have seen is not in the log."""
    return asked.header("Prefer") == AT_ONCE


def asks_for_the_past(asked: Asked) -> bool:
    """Tell whether a list was wanted as it was."""
    return "asOf" in (asked.case.query or {})


def has_bad_header(asked: Asked) -> bool:
    """Tell whether a request has a header that its own schema does not allow."""
    for one in asked.case.operation.headers:
        pattern, given = one.definition.get("schema", {}).get("pattern"), asked.header(one.name)
        if pattern is not None and given is not None and not re.search(pattern, given):
            return True
    return False


def composes(asked: Asked) -> bool:
    """Tell whether a text has another length when it is composed (NFC) and trimmed."""
    text = str(asked.value)
    return len(unicodedata.normalize("NFC", text).strip()) != len(text)


def is_whole_float(asked: Asked) -> bool:
    """Tell whether a number is written 50.0."""
    return isinstance(asked.value, float) and asked.value.is_integer()


def is_kept(asked: Asked) -> bool:
    """Tell whether what is shown says of itself that it is there no more."""
    shown = asked.response.json()["data"]
    if isinstance(shown, list):
        return True  # orders last longer than whose they are
    return shown.get("account", shown)["status"] in {"closed", "withdrawn", "forgotten"}


V1 = "/api/v1"
LISTS = rf"GET {V1}/(users|admin/users|users/\{{user_id\}}/orders|products|orders|reports/sales)"
SINGLES = rf"GET {V1}/(users|products|orders)/\{{\w+_id\}}"
CURSORS = rf"GET (/api/v2/.*|{V1}/audit/sign-ins)"
PLACING = rf"POST {V1}/(users/\{{user_id\}}/)?orders"
TEXTS = rf"(POST|PUT|PATCH) {V1}/.*"

EXCEPTIONS = (
    Excepted(
        ".*",
        AcceptedNegativeData,
        "in header - object with unexpected properties",
        "unknown headers are to be ignored (RFC 9110, 5.1)",
    ),
    Excepted(
        ".*",
        AcceptedNegativeData,
        "PRECONDITION_FAILED$",
        "412 is a refusal: the version is looked at before the content (RFC 9110, 13.2.2)",
        so=has_if_match,
    ),
    Excepted(
        ".*",
        ServerError,
        "VIEW_BEHIND",
        "a position that the log has not come to was asked for, and nobody waited",
        so=does_not_wait,
    ),
    Excepted(
        LISTS,
        ServerError,
        "UNAVAILABLE As many lists of the past as there may be",
        "twelve pasts are kept at once, each for those who turn its pages; then one has to wait",
        so=asks_for_the_past,
    ),
    Excepted(
        r"(GET|PUT|PATCH|POST|DELETE) /api/v[12]/.*",
        RejectedPositiveData,
        "PRECONDITION_FAILED",
        "the version in If-Match is that of now or it is not",
        field="(currentVersion)?",
        so=has_if_match,
    ),
    Excepted(
        ".*",
        RejectedPositiveData,
        r"If-(None-)?Match must be (one version|versions) in quotes",
        "schemathesis' coverage phase makes headers of letters and digits alone",
        so=has_bad_header,
    ),
    Excepted(
        LISTS,
        RejectedPositiveData,
        "Pages reach to row 10000",
        "the product of two parameters is bounded",
        field="page",
    ),
    Excepted(
        r"GET /api/v[12]/reports/sales",
        RejectedPositiveData,
        "This must be (a comma list|one of)",
        "what a report can be sorted by and has depends on groupBy",
        field="sortBy|fields",
    ),
    Excepted(
        LISTS,
        RejectedPositiveData,
        "What is personal is sealed in the past",
        "it depends on asOf",
        field="email|name|sortBy",
    ),
    Excepted(
        f"{LISTS}|{SINGLES}",
        RejectedPositiveData,
        "This has not passed yet",
        "the past ends where the log does",
        field="asOf",
    ),
    Excepted(
        CURSORS,
        RejectedPositiveData,
        "This must be a cursor of this list",
        "a cursor is sealed, so it cannot be made up",
        field="cursor",
    ),
    Excepted(
        PLACING,
        RejectedPositiveData,
        r"There is no such (product|user)\.",
        "what a body refers to must exist",
        field=r"items\[\d+\]\.productId|userId",
    ),
    Excepted(
        PLACING,
        RejectedPositiveData,
        "This product is in the order already",
        "items must differ in one of their fields",
        field=r"items\[\d+\]\.productId",
    ),
    Excepted(
        rf"POST {V1}/orders/\{{order_id\}}/payment",
        RejectedPositiveData,
        "The amount must equal the total",
        "what is paid is what was ordered",
        field="amount",
    ),
    Excepted(
        rf"POST {V1}/products/\{{product_id\}}/stock-adjustments",
        RejectedPositiveData,
        "Stock would be more than",
        "it depends on the stock that there is",
        field="quantity",
    ),
    Excepted(
        rf"POST {V1}/(products|orders|users|projections).*",
        RejectedPositiveData,
        "Expected int(, got float| . null, got float)",
        "JSON Schema holds 50.0 for a whole number; bodies write 50",
        field=r"(items\[\d+\]\.)?quantity|stock|throttle",
        so=is_whole_float,
    ),
    Excepted(
        rf"(POST|PUT|PATCH) {V1}/users(/\{{user_id\}})?",
        RejectedPositiveData,
        "This is not an e-mail address",
        "addresses have more rules than their format",
        field="email",
    ),
    Excepted(
        rf"(POST|PUT) {V1}/users(/\{{user_id\}}/password)?",
        RejectedPositiveData,
        "one of the most common passwords|must not be the e-mail address",
        "passwords that everybody tries first are refused",
        field="password|newPassword",
    ),
    Excepted(
        TEXTS,
        RejectedPositiveData,
        r"At (least 2|most \d+) characters",
        "what is counted are the characters of a text that was composed (NFC) and trimmed",
        field=r"email|name|sku|reason|text|reference|carrier|trackingNumber",
        so=composes,
    ),
    Excepted(
        rf"(GET|DELETE) {V1}/(users|products)/\{{\w+\}}(/personal-data|/orders)?",
        UseAfterFree,
        "",
        "what was closed, withdrawn or forgotten is shown as such to those who work here",
        so=is_kept,
    ),
    Excepted(
        "POST /graphql",
        RejectedPositiveData,
        "Syntax Error|There is no such operation",
        "a text is seldom a question: test_graphql.py asks real ones",
    ),
)


def reasons_for(failure: Failure, case: Case, response: Response) -> set[str]:
    """Return why a failure is none; nothing: it is one."""
    found = {
        next((one.why for one in EXCEPTIONS if fits(one, failure, case, response, *part)), "")
        for part in parts(failure, response)
    }
    return found if all(found) else set()


def fits(  # noqa: PLR0913, PLR0917 - what an exception is tied to
    one: Excepted, failure: Failure, case: Case, response: Response, field: str, said: str
) -> bool:
    """Tell whether an exception is for a part of an answer."""
    return (
        isinstance(failure, one.check)
        and re.fullmatch(one.operations, case.operation.label) is not None
        and re.search(one.said, said) is not None
        and re.fullmatch(one.field, field) is not None
        and one.so(Asked(case, response, field))
    )


def parts(failure: Failure, response: Response) -> Iterator[tuple[str, str]]:
    """Yield what is to be excepted: a field and what is said of it, for each that is named."""
    try:
        told = response.json()
    except ValueError:
        told = {}
    error = told.get("error")
    if isinstance(failure, AcceptedNegativeData):
        yield "", f"{failure.message} {error and error['code']}"
        return
    if error is None:
        errors = told.get("errors", ())
        yield "", " ".join(one["message"] for one in errors)
        return
    details = error.get("details", ())
    for one in details:
        yield one["field"], f"{error['code']} {one['message']}"
    if not details:
        yield "", f"{error['code']} {error['message']}"
