"""The log's history over HTTP, for auditors: events by what they hold, and with their neighbours.

Whoever asks is recorded, with what was asked and how many events were given.
"""

import re
from collections.abc import Callable
from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar.di import NamedDependency
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.spec import Parameter, Schema
from litestar.openapi.spec.enums import OpenAPIType
from litestar.params import PathParameter
from litestar.types import AnyCallable

from api.envelope import Answer, CursorPagination, Stretch, Success, meta
from api.errors import MalformedRequest
from api.guards import AUDITOR
from api.links import Links, link_to_next, links_to
from api.read.evidence import LARGEST, TAG, access, answered
from api.read.lists import given_in, read_values
from api.read.values import Value, choice, identity, instant, text, whole
from api.read.views import operation, parameter
from api.request import ApiRequest
from api.routes import NO_LINKS, V1, route
from api.successes import success
from domain.refusal import Detail, NotFound
from event_store.history.accesses import KINDS, Accesses, Noted
from event_store.history.differences import Change
from event_store.history.entries import Entry
from event_store.history.questions import Question
from event_store.history.surroundings import Surroundings
from event_store.trail import Trail

LARGEST_PAGE, PAGE = 100, 20
MOST_NEIGHBOURS = 100
MOST_DATA_FILTERS = 5
DATA = re.compile(r"data(\.[A-Za-z_][A-Za-z0-9_]{0,63}){1,8}")
Position = Annotated[str, PathParameter(description="The event's position in the log.")]
StreamId = Annotated[UUID, PathParameter(description="The stream's id, such as an order's.")]

FACTS = {
    "streamType": ("stream_type", text("Only of this kind of stream, such as order.")),
    "name": ("name", text("Only events of this name, such as order.placed.")),
    "actorId": ("actor_id", text("Only what this user, or operator, did.")),
    "actorRole": ("actor_role", text("Only what was done in this role.")),
    "command": ("command", text("Only what this command did, such as PlaceOrder.")),
    "requestId": ("request_id", text("Only what this request did.")),
    "correlationId": ("correlation_id", text("Only what has this correlation id.")),
    "causationId": ("causation_id", whole("Only what this event caused.", 1, LARGEST)),
}
PAGING = {
    "limit": whole("How many events a page has.", 1, LARGEST_PAGE, PAGE),
    "cursor": whole("From where to go on: `next` of the page before.", 0, LARGEST),
}
VALUES: dict[str, Value] = {
    "streamId": identity("Only events of this stream."),
    **{name: value for name, (_, value) in FACTS.items()},
    "subject": identity("Only events about this user."),
    "occurredFrom": instant("Only what happened then or later.", day_counts=False),
    "occurredTo": instant("Only what happened before, or up to this day's end.", day_counts=True),
    "recordedFrom": instant("Only what was recorded then or later.", day_counts=False),
    "recordedTo": instant("Only what was recorded before, or up to this day.", day_counts=True),
    "positionFrom": whole("Only events at this position or later.", 1, LARGEST),
    "positionTo": whole("Only events at this position or earlier.", 1, LARGEST),
    "sortOrder": choice("Which end of the log comes first.", ("asc", "desc"), "desc"),
    **PAGING,
}
INSIDE = text("Only events with this value inside, at a path such as data.sku; lists are passed.")
# Any of them: `style: form` writes each property of the object as a parameter of its own.
PATHS = Parameter(
    name="data",
    param_in="query",
    description=f"{INSIDE.description} At most {MOST_DATA_FILTERS} paths, as data.sku=A-1.",
    style="form",
    explode=True,
    schema=Schema(
        type=OpenAPIType.OBJECT,
        property_names=Schema(type=OpenAPIType.STRING, pattern=f"^{DATA.pattern}$"),
        additional_properties=INSIDE.schema,
        max_properties=MOST_DATA_FILTERS,
    ),
)
ACCESSES = {
    "kind": choice("Only accesses of this kind.", KINDS),
    "actorId": text("Only what this auditor, administrator or operator did."),
    "action": text("Only this question or deed, such as events or projection.paused."),
    **PAGING,
}


def history_route(  # noqa: PLR0913 - what a client must know of a route, each by its name
    path: str,
    shape: type[Any],
    values: dict[str, Value],
    *,
    summary: str,
    inside: bool = False,
    links: Links = NO_LINKS,
) -> Callable[[AnyCallable], HTTPRouteHandler]:
    """Declare a route of the history; `inside`: it takes values inside of events."""
    taken = {*values, "data.*"} if inside else {*values}
    documented = [*(parameter(*one, ()) for one in values.items()), *([PATHS] if inside else ())]
    return route(
        "GET",
        f"{V1}/audit/{path}",
        who=AUDITOR,
        summary=summary,
        tag=TAG,
        refusals=["UNAVAILABLE", "NOT_FOUND"],
        query=taken,
        answers={200: success(shape)},
        operation=operation(documented, []),
        links=links,
    )


@history_route(
    "events",
    Stretch[Entry],
    VALUES,
    summary="Search events",
    inside=True,
    links={
        **links_to("showEvent", position="$response.body#/data/0/position"),
        **links_to("showStream", stream_id="$response.body#/data/0/streamId"),
        **links_to("proveInclusion", position="$response.body#/data/0/position"),
        **link_to_next("listEvents", VALUES),
    },
)
async def list_events(request: ApiRequest, trail: NamedDependency[Trail]) -> Answer[Any]:
    """List events, newest or oldest first, by all that is known of them and by what they hold.

    `data.sku=A-1` finds a value at a path inside of the event, in lists too; several conditions
    must all hold. Personal fields are sealed.
    """
    question, limit = read(given_in(request))
    found, more = await trail.events(question, limit, access(request, "events"))
    return stretch(request, found, limit, found[-1].position if more else None)


@history_route(
    "events/{position:str}",
    Success[Surroundings],
    {},
    summary="Show an event and its neighbours",
    links=links_to("showStream", stream_id="$response.body#/data/event/streamId"),
)
async def show_event(
    request: ApiRequest, position: Position, trail: NamedDependency[Trail]
) -> Answer[Any]:
    """Show an event, what caused it, what it caused, and what else its request did."""
    place = place_of(position)
    found = await trail.around(place, MOST_NEIGHBOURS, access(request, "event", position=position))
    if found is None:
        raise NotFound
    return answered(request, found)


@history_route(
    "streams/{stream_id:str}",
    Stretch[Change],
    PAGING,
    summary="Show a stream's changes",
    links=link_to_next("showStream", PAGING, stream_id="$request.path.stream_id"),
)
async def show_stream(
    request: ApiRequest, stream_id: StreamId, trail: NamedDependency[Trail]
) -> Answer[Any]:
    """Show what each event of a stream changed, from what to what, the oldest first."""
    asked = read_values(PAGING, given_in(request))
    limit, after = asked.get("limit", PAGE), asked.get("cursor", 0)
    noted = access(request, "stream", streamId=str(stream_id))
    found, more = await trail.changes(stream_id, after, limit, noted)
    if not found and not after:
        raise NotFound
    return stretch(request, found, limit, found[-1].position if more else None)


@history_route(
    "accesses",
    Stretch[Noted],
    ACCESSES,
    summary="List who asked what of the log",
    links=link_to_next("listAccesses", ACCESSES),
)
async def list_accesses(request: ApiRequest, trail: NamedDependency[Trail]) -> Answer[Any]:
    """List questions, exports, verifications, erasures and what operators did, newest first.

    This question is recorded too. Values that may tell of a person are not kept.
    """
    asked = read_values(ACCESSES, given_in(request))
    limit = asked.get("limit", PAGE)
    wanted = Accesses(
        limit=limit,
        before=asked.get("cursor"),
        kind=asked.get("kind"),
        actor_id=asked.get("actorId"),
        action=asked.get("action"),
    )
    found, more = await trail.accesses(wanted, access(request, "accesses"))
    return stretch(request, found, limit, found[-1].number if more else None)


def read(given: dict[str, str]) -> tuple[Question, int]:
    """Return what is asked and how many events a page has; `MalformedRequest`."""
    inside = {name: given.pop(name) for name in list(given) if name.startswith("data.")}
    wrong = [name for name in inside if not DATA.fullmatch(name)]
    if wrong or len(inside) > MOST_DATA_FILTERS:
        message = f"At most {MOST_DATA_FILTERS} paths such as data.lines.sku are taken."
        raise MalformedRequest(None, Detail((wrong or list(inside))[0], message))
    for name, value in inside.items():
        read_values({name: INSIDE}, {name: value})
    asked = read_values(VALUES, given)
    descending = asked.get("sortOrder", "desc") == "desc"
    first, last = asked.get("positionFrom"), asked.get("positionTo")
    end = None if last is None else last + 1
    if (cursor := asked.get("cursor")) is not None:
        if descending:
            end = min(cursor, end or cursor)
        else:
            first = max(cursor + 1, first or 1)
    question = Question(
        stream_id=asked.get("streamId"),
        facts={column: str(asked[name]) for name, (column, _) in FACTS.items() if name in asked},
        subject=asked.get("subject"),
        data=inside,
        occurred=(asked.get("occurredFrom"), asked.get("occurredTo")),
        recorded=(asked.get("recordedFrom"), asked.get("recordedTo")),
        positions=(first, end),
        descending=descending,
    )
    return question, asked.get("limit", PAGE)


def place_of(position: str) -> int:
    """Return a position that was given in a path; `NotFound` for what can be none."""
    if not re.fullmatch(r"[1-9][0-9]{0,17}", position):
        raise NotFound
    return int(position)


def stretch(
    request: ApiRequest, found: list[Any], limit: int, more: int | None
) -> Answer[Stretch[msgspec.Struct]]:
    """Answer with a stretch of a list."""
    pagination = CursorPagination(next=None if more is None else str(more), prev=None, limit=limit)
    body = Stretch(data=found, pagination=pagination, meta=meta(request.context.request_id))
    return Answer(body)


HANDLERS = [list_events, show_event, show_stream, list_accesses]
