"""What a client accepts (RFC 9110, 12.5.1), and the other form of an error: RFC 9457 problems."""

import re
from functools import lru_cache
from http import HTTPStatus

import msgspec

from domain.refusal import Detail

PROBLEM_TYPE = (b"content-type", b"application/problem+json")
VARY = (b"vary", b"accept")
QUALITY = re.compile(r"q=(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)", re.IGNORECASE)


class Problem(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A refusal or failure as a problem document; without a `type`, `title` is the status's."""

    title: str
    status: int
    detail: str
    code: str
    details: tuple[Detail, ...] = ()
    timestamp: str
    request_id: str


def problem(  # noqa: PLR0913 - a problem is these facts
    *,
    status: int,
    code: str,
    message: str,
    details: tuple[Detail, ...],
    timestamp: str,
    request_id: str,
) -> Problem:
    """Return an error as a problem."""
    return Problem(
        title=HTTPStatus(status).phrase,
        status=status,
        detail=message,
        code=code,
        details=details,
        timestamp=timestamp,
        request_id=request_id,
    )


@lru_cache(256)
def wants_problem(accept: bytes) -> bool:
    """Tell whether an Accept header names problems, and no less gladly than plain JSON."""
    qualities = {}
    for part in accept.decode("latin-1").split(","):
        media_type, *parameters = (word.strip() for word in part.split(";"))
        found = [match[1] for word in parameters if (match := QUALITY.fullmatch(word))]
        qualities[media_type.lower()] = float(found[0]) if found else 1.0
    quality = qualities.get("application/problem+json", 0.0)
    return quality > 0 and quality >= qualities.get("application/json", 0.0)
