"""Reactions over HTTP, for operators: how they stand, and the events whose effect failed."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Protocol
from uuid import UUID

import msgspec
from litestar.di import NamedDependency
from litestar.handlers import HTTPRouteHandler
from litestar.params import PathParameter

from api.envelope import Answer, Page, Success, meta
from api.guards import ADMIN
from api.links import links_to
from api.read.operator_pages import PAGED, PAGES, check_number, listed, page_of, shown
from api.request import ApiRequest
from api.routes import V1, route
from api.successes import success
from domain.refusal import NotFound

TAG = "Reactions"
REACTION = f"{V1}/reactions/{{reaction:str}}"
ReactionName = Annotated[str, PathParameter(description="The reaction's name.")]
EventPosition = Annotated[int, PathParameter(description="The event's position in the log.")]
DecisionId = Annotated[int, PathParameter(description="What was answered to the decision.")]
IN_PATH = "$request.path.reaction"
OF_FAILURES = ("showFailure", "retryOne", "skipOne")


class ReactionView(msgspec.Struct, frozen=True, rename="camel"):
    """Where a reaction stands: up to date, working, waiting (an outage), or with parked events.

    `events` and `seconds` say how far it is behind the log. `failure` is why it waits before the
    next event, until `retryAt`. `failing` events are tried again; `parked` ones only on request.
    """

    name: str
    state: str
    position: int
    events: int
    seconds: float
    moved_at: datetime
    attempts: int
    failure: str | None
    failed_at: datetime | None
    retry_at: datetime | None
    failing: int
    parked: int


class ReactionFailureView(msgspec.Struct, frozen=True, rename="camel"):
    """An event whose effect failed, without what is in it; `retryAt` null: it is parked."""

    reaction: str
    position: int
    event: str
    stream_id: UUID
    version: int
    recorded_at: datetime
    attempts: int
    error: str
    first_at: datetime
    last_at: datetime
    retry_at: datetime | None


class ReactionOperationView(msgspec.Struct, frozen=True, rename="camel"):
    """What was decided about a reaction, by whom and why, and what came of it.

    `operationId` is where in the log it was decided, `position` the event that it is about, null:
    all that failed. `outcome` is null until it has ended: done or refused.
    """

    operation_id: int
    reaction: str
    action: str
    position: int | None
    reason: str
    asked_by: str
    role: str
    asked_at: datetime
    outcome: str | None
    detail: str | None
    ended_at: datetime | None


class Desk(Protocol):
    """Who knows of the reactions; what it returns has the fields of the views."""

    async def statuses(self) -> Sequence[object]:
        """Return how every reaction stands."""

    async def failures(self, name: str, limit: int, offset: int) -> tuple[Sequence[object], int]:
        """Return failed events of a reaction and how many there are; `NotFound`."""

    async def failure(self, name: str, position: int) -> object:
        """Return a failed event of a reaction; `NotFound`."""

    async def operations(self, name: str, limit: int, offset: int) -> tuple[Sequence[object], int]:
        """Return decisions about a reaction, and how many there are; `NotFound`."""

    async def operation(self, name: str, operation_id: int) -> object:
        """Return a decision about a reaction; `NotFound`."""


@route(
    "GET",
    f"{V1}/reactions",
    who=ADMIN,
    summary="List the reactions and how they stand",
    tag=TAG,
    refusals=["UNAVAILABLE"],
    answers={200: success(Success[list[ReactionView]])},
    links=links_to(
        "showReaction",
        "listFailures",
        "listDecisions",
        "retryAll",
        reaction="$response.body#/data/0/name",
    ),
)
async def list_reactions(request: ApiRequest, reaction_desk: NamedDependency[Any]) -> Answer[Any]:
    """Show what the system does by itself, and whether it does."""
    desk: Desk = reaction_desk
    found = [view_of(one, ReactionView) for one in await desk.statuses()]
    return Answer(Success(data=found, meta=meta(request.context.request_id)))


@route(
    "GET",
    REACTION,
    who=ADMIN,
    summary="Show a reaction",
    tag=TAG,
    refusals=["UNAVAILABLE", "NOT_FOUND"],
    answers={200: success(Success[ReactionView])},
    links=links_to("listFailures", "listDecisions", "retryAll", reaction=IN_PATH),
)
async def show_reaction(
    request: ApiRequest, reaction: ReactionName, reaction_desk: NamedDependency[Any]
) -> Answer[Any]:
    """Show how one reaction stands."""
    desk: Desk = reaction_desk
    views = [view_of(one, ReactionView) for one in await desk.statuses()]
    for view in views:
        if view.name == reaction:
            return shown(request, view)
    raise NotFound


@route(
    "GET",
    f"{REACTION}/failures",
    who=ADMIN,
    summary="List the events for which a reaction failed",
    tag=TAG,
    refusals=["UNAVAILABLE", "NOT_FOUND"],
    query=PAGES,
    answers={200: success(Page[ReactionFailureView])},
    operation=PAGED,
    links=links_to(*OF_FAILURES, reaction=IN_PATH, position="$response.body#/data/0/position"),
)
async def list_failures(
    request: ApiRequest, reaction: ReactionName, reaction_desk: NamedDependency[Any]
) -> Answer[Any]:
    """List them in the order of the log."""
    desk: Desk = reaction_desk
    asked, part = page_of(request)
    found, total = await desk.failures(reaction, **part)
    return listed(request, [view_of(one, ReactionFailureView) for one in found], asked, total)


@route(
    "GET",
    f"{REACTION}/failures/{{position:int}}",
    who=ADMIN,
    summary="Show an event for which a reaction failed",
    tag=TAG,
    refusals=["UNAVAILABLE", "NOT_FOUND"],
    answers={200: success(Success[ReactionFailureView])},
)
async def show_failure(
    request: ApiRequest,
    reaction: ReactionName,
    position: EventPosition,
    reaction_desk: NamedDependency[Any],
) -> Answer[Any]:
    """Show why it failed, and when it is tried again; 404 when it has not, or is dealt with."""
    desk: Desk = reaction_desk
    check_number(position)
    found = view_of(await desk.failure(reaction, position), ReactionFailureView)
    return shown(request, found)


@route(
    "GET",
    f"{REACTION}/operations",
    who=ADMIN,
    summary="List what was decided about a reaction",
    tag=TAG,
    refusals=["UNAVAILABLE", "NOT_FOUND"],
    query=PAGES,
    answers={200: success(Page[ReactionOperationView])},
    links=links_to(
        "showDecision", reaction=IN_PATH, operation_id="$response.body#/data/0/operationId"
    ),
    operation=PAGED,
)
async def list_decisions(
    request: ApiRequest, reaction: ReactionName, reaction_desk: NamedDependency[Any]
) -> Answer[Any]:
    """List who decided what, when and why, and what came of it; the newest first."""
    desk: Desk = reaction_desk
    asked, part = page_of(request)
    found, total = await desk.operations(reaction, **part)
    return listed(request, [view_of(one, ReactionOperationView) for one in found], asked, total)


@route(
    "GET",
    f"{REACTION}/operations/{{operation_id:int}}",
    who=ADMIN,
    summary="Follow what was decided about a reaction",
    tag=TAG,
    refusals=["UNAVAILABLE", "NOT_FOUND"],
    answers={200: success(Success[ReactionOperationView])},
)
async def show_decision(
    request: ApiRequest,
    reaction: ReactionName,
    operation_id: DecisionId,
    reaction_desk: NamedDependency[Any],
) -> Answer[Any]:
    """Say what came of a decision."""
    desk: Desk = reaction_desk
    check_number(operation_id)
    found = view_of(await desk.operation(reaction, operation_id), ReactionOperationView)
    return shown(request, found)


def view_of(found: object, view: type[msgspec.Struct]) -> Any:
    """Show what the desk knows."""
    names = msgspec.structs.fields(view)
    return view(**{one.name: getattr(found, one.name) for one in names})


HANDLERS: list[HTTPRouteHandler] = [
    list_reactions,
    show_reaction,
    list_failures,
    show_failure,
    list_decisions,
    show_decision,
]
