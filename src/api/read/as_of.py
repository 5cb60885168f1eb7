"""`asOf`: resources and lists as they were at a position or moment, for auditors."""

from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from litestar.types import ExceptionHandlersMap
from sqlalchemy import Table

from api.envelope import Answer, Failure, Success, meta
from api.errors import AnyRequest, MalformedRequest, failure
from api.guards import AUDITOR, check
from api.read.answers import ViewAnswer, listed, position_header, single, succeeded
from api.read.demands import patience
from api.read.evidence import access
from api.read.lists import Asked, given_in, read_values
from api.read.moments import VALUES
from api.read.values import Value
from api.request import ApiRequest
from domain.refusal import Detail, NotFound
from event_store.history.passed import NotYet
from event_store.trail import Trail
from projections.listing import Listing
from projections.pasts.as_of import row_of_stream
from projections.pasts.lists import Moment, NoPlace, Pasts, Underway
from projections.projection import Projection, Row

__all__ = ["EXCEPTION_HANDLERS", "VALUES", "listed_as_of", "shown_as_of"]

SOON, LATEST = 1, 60
SECONDS = 5  # a worker needs one or two to begin


async def shown_as_of(  # noqa: PLR0913, PLR0917 - what is shown, and how
    request: ApiRequest,
    trail: Trail,
    projection: Projection,
    table: Table,
    key: UUID,
    view: Callable[[Row], msgspec.Struct],
    values: dict[str, Value],
) -> ViewAnswer:
    """Answer with a resource as it was: exactly what a rebuild that stops there would show.

    It costs the reading of its stream up to there. Personal fields are sealed; it is recorded.
    """
    check(AUDITOR, request.context.caller)
    asked: dict[str, Any] = read_values(values, given_in(request))
    happened = asked.get("asOfTime") == "happened"
    noted = access(request, "as_of", view=projection.name, id=str(key))
    events = await trail.stream_as_of(key, asked["asOf"], noted, happened=happened)
    row = row_of_stream(projection, table, key, events)
    if row is None:
        raise NotFound
    place = asked["asOf"] if isinstance(asked["asOf"], int) else events[-1].position
    return single(request, view(row), asked.get("fields"), version=row["version"], position=place)


async def listed_as_of(  # noqa: PLR0913, PLR0917 - what is listed, and how
    request: ApiRequest,
    pasts: Pasts,
    listing: Listing,
    asked: Asked,
    moment: Moment,
    show: Callable[[Row, datetime], msgspec.Struct],
) -> ViewAnswer:
    """Answer with a page of a list as it was, or 202 with how far that has been made.

    `show` gets a row, and when that was. Personal fields are sealed; it is recorded.
    """
    check(AUDITOR, request.context.caller)
    check_not_personal(listing, asked)
    noted = access(request, "list_as_of", view=listing.projection.name)
    seconds = patience(request.context.headers, SECONDS)
    found = await pasts.list(listing, asked.wanted, moment, noted, seconds)
    if isinstance(found, Underway):
        return to_be_made(request, found)
    page, at = found
    return listed(request, asked, page, [show(row, at) for row in page.rows])


def check_not_personal(listing: Listing, asked: Asked) -> None:
    """Refuse to search or sort what is sealed; `MalformedRequest`."""
    wrong = [name for name in asked.filters if name in listing.personal]
    wrong += ["sortBy"] if asked.sort_by in listing.personal else []
    if wrong:
        message = "What is personal is sealed in the past: it cannot be searched or sorted by."
        raise MalformedRequest(None, *(Detail(name, message) for name in wrong))


def to_be_made(request: ApiRequest, found: Underway) -> ViewAnswer:
    """Answer that the list as it was is being made, and when to ask again."""
    wait = min(max(SOON, (found.seconds_left or SOON) // 2), LATEST)
    headers = [position_header(found.target), (b"retry-after", b"%d" % wait), *succeeded(request)]
    body = Success(data=found, meta=meta(request.context.request_id))
    return Answer(body, status=202, headers=headers)


def not_yet(request: AnyRequest, error: NotYet) -> Answer[Failure]:
    """Answer that the log has not come so far."""
    message = f"This has not passed yet: the log has come to position {error.end}."
    return failure(request, "MALFORMED_REQUEST", message, (Detail("asOf", message),))


def no_place(request: AnyRequest, _: NoPlace) -> Answer[Failure]:
    """Answer that as many pasts as there may be are in use."""
    message = (
        "As many lists of the past as there may be are being made or read: "
        "ask for one of these, or again in a while."
    )
    return failure(request, "UNAVAILABLE", message, headers=[(b"retry-after", b"15")])


EXCEPTION_HANDLERS: ExceptionHandlersMap = {NotYet: not_yet, NoPlace: no_place}
