"""What operators read of projections and of reactions is asked for, and answered, in one way."""

from typing import Any

import msgspec

from api.envelope import Answer, Page, Success, meta, pagination
from api.read.lists import given_in, read_values
from api.read.values import Value, whole
from api.read.views import operation, parameter
from api.request import ApiRequest
from domain.refusal import NotFound

LARGEST_POSITION = 2**63 - 1
PAGES: dict[str, Value] = {
    "page": whole("Which page, from 1.", 1, 101, 1),
    "limit": whole("How many entries a page has.", 1, 100, 20),
}
PAGED = operation([parameter(*one, ()) for one in PAGES.items()], [])
"""How a route with pages is documented."""


def page_of(request: ApiRequest) -> tuple[dict[str, int], dict[str, int]]:
    """Return which page is asked for, and the same as limit and offset."""
    asked = {"page": 1, "limit": 20} | read_values(PAGES, given_in(request))
    return asked, {"limit": asked["limit"], "offset": (asked["page"] - 1) * asked["limit"]}


def listed(
    request: ApiRequest, views: list[msgspec.Struct], asked: dict[str, int], total: int
) -> Answer[Any]:
    """Answer with a page of a list."""
    body = Page(
        data=views,
        pagination=pagination(asked["page"], asked["limit"], total),
        meta=meta(request.context.request_id),
    )
    return Answer(body)


def shown(request: ApiRequest, view: msgspec.Struct) -> Answer[Any]:
    """Answer with one thing."""
    return Answer(Success(data=view, meta=meta(request.context.request_id)))


def check_number(number: int) -> None:
    """Raise `NotFound` for a number that nothing in the log can have."""
    if not 0 < number <= LARGEST_POSITION:
        raise NotFound
