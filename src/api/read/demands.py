"""Reading one's own writes: what a request insists on, and how it is answered if that is too much.

`Daybook-Min-Position` is what a command answered in `Daybook-Position`; `Prefer: wait=n` (RFC 7240)
says for how many seconds the reader waits for it.
"""

import re
from collections.abc import Mapping

import structlog
from litestar.di import Provide
from litestar.types import ExceptionHandlersMap

from api.envelope import Answer, Failure
from api.errors import AnyRequest, MalformedRequest, failure
from api.read.access import NotSeen
from api.read.answers import position_header
from api.request_context import context_of
from projections.reading.views import ViewBehind, Views

HEADER = b"daybook-min-position"
POSITION = re.compile(rb"0|[1-9][0-9]{0,18}")
LARGEST_POSITION = 2**63 - 1
WAIT = re.compile(rb"(?:^|,)\s*wait\s*=\s*\"?([0-9]{1,9})\"?\s*(?=[,;]|$)", re.IGNORECASE)
SECONDS, MOST_SECONDS = 2, 10

log = structlog.get_logger(__name__)


def views_for_each(views: Views) -> Provide:
    """Return what gives each request the views as it insists on them; `MalformedRequest`."""

    def provide(request: AnyRequest) -> Views:
        headers = context_of(request.scope).headers
        position = least_position(headers)
        return views.insisting(position, patience(headers)) if position else views

    return Provide(provide, sync_to_thread=False)


def least_position(headers: Mapping[bytes, bytes]) -> int:
    """Return the position that the answer must have seen, 0 if any will do."""
    given = headers.get(HEADER)
    if given is None:
        return 0
    text = given.strip()
    if not POSITION.fullmatch(text) or int(text) > LARGEST_POSITION:
        raise MalformedRequest(
            "Daybook-Min-Position must be a position, as commands answer in Daybook-Position."
        )
    return int(text)


def patience(headers: Mapping[bytes, bytes], otherwise: int = SECONDS) -> int:
    """Return for how many seconds the reader waits; preferences that are none are ignored."""
    found = WAIT.search(headers.get(b"prefer", b""))
    return min(int(found[1]), MOST_SECONDS) if found else otherwise


def behind(request: AnyRequest, error: ViewBehind) -> Answer[Failure]:
    """Answer that the view has not come so far."""
    log.warning(
        "view_behind",
        projection=error.projection.name,
        position=error.seen,
        wanted=error.position,
        path=request.scope["path"],
    )
    message = (
        f"The view has seen position {error.seen} and not yet {error.position}: "
        "try again in a moment."
    )
    headers = [(b"retry-after", b"1"), position_header(error.seen)]
    return failure(request, "VIEW_BEHIND", message, headers=headers)


def not_seen(request: AnyRequest, refusal: NotSeen) -> Answer[Failure]:
    """Answer that there is no such thing, and how far the view has come that does not know it."""
    headers = [position_header(refusal.position)]
    return failure(request, refusal.code, refusal.message, headers=headers)


EXCEPTION_HANDLERS: ExceptionHandlersMap = {ViewBehind: behind, NotSeen: not_seen}
