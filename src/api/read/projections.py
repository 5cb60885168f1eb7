"""Projections over HTTP, for operators: how they stand, what was asked of them, what is parked."""

from collections.abc import Callable, Sequence
from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar.di import NamedDependency
from litestar.handlers import HTTPRouteHandler
from litestar.params import PathParameter
from litestar.types import AnyCallable
from psycopg import Connection
from psycopg.rows import TupleRow

from api.envelope import Answer, Page, Success
from api.guards import ADMIN
from api.links import FIRST, Links, links_to
from api.read.camel import camelled, twin
from api.read.operation_views import REBUILD, OperationView, operation_view
from api.read.operator_pages import PAGED, PAGES, check_number, listed, page_of, shown
from api.request import ApiRequest
from api.routes import NO_LINKS, V1, route
from api.successes import success
from domain.refusal import NotFound
from projections.oversight import operations
from projections.oversight.desk import Oversight
from projections.oversight.standing import Standing, standings
from projections.posting.failures import Failure, FailureDetail, failure, failures
from projections.rebuilds.rebuild import Rebuild, find, rebuilds
from projections.switched_on import PROJECTIONS

TAG = "Projections"
Name = Annotated[str, PathParameter(description="The projection's name.")]
OperationId = Annotated[UUID, PathParameter(description="What was answered to the request.")]
RebuildId = Annotated[int, PathParameter(description="The rebuild's number.")]
Position = Annotated[int, PathParameter(description="The position of the event that failed.")]
MOST_FAILURES = 10_000
MOST_REBUILDS = 1_000
PROJECTION = f"{V1}/projections/{{projection:str}}"
IN_PATH = "$request.path.projection"
OF_VIEWS = (
    "listOperations",
    "listRebuilds",
    "listViewFailures",
    "pauseView",
    "resumeView",
    "compareView",
    "rebuildView",
    "rollBackView",
    "pruneView",
    "retryViewFailures",
)
FIRST_FAILURE = "$response.body#/data/0/position"
OF_FAILURES = ("showViewFailure", "retryViewFailure", "skipViewFailure")


def listed_part(request: ApiRequest, found: Sequence[msgspec.Struct]) -> Answer[Any]:
    """Answer with the page that is asked for of a list that was read whole."""
    asked, part = page_of(request)
    chosen = found[part["offset"] : part["offset"] + part["limit"]]
    return listed(request, [camelled(one) for one in chosen], asked, len(found))


def check_known(projection: str) -> None:
    """Raise `NotFound` unless there is such a projection."""
    if projection not in PROJECTIONS:
        raise NotFound


def one_of(
    path: str, view: type[msgspec.Struct], summary: str, links: Links = NO_LINKS
) -> Callable[[AnyCallable], HTTPRouteHandler]:
    """Declare a route that shows one thing."""
    refusals = ["NOT_FOUND", "UNAVAILABLE"]
    return route(
        "GET",
        path,
        who=ADMIN,
        summary=summary,
        tag=TAG,
        refusals=refusals,
        answers={200: success(Success[view])},  # type: ignore[valid-type]  # made for the document
        links=links,
    )


def list_of(
    path: str, view: type[msgspec.Struct], summary: str, links: Links = NO_LINKS
) -> Callable[[AnyCallable], HTTPRouteHandler]:
    """Declare a route that shows a list, page by page."""
    return route(
        "GET",
        path,
        who=ADMIN,
        summary=summary,
        tag=TAG,
        refusals=["NOT_FOUND", "UNAVAILABLE"],
        query=PAGES,
        answers={200: success(Page[view])},  # type: ignore[valid-type]  # made for the document
        operation=PAGED,
        links=links,
    )


@list_of(
    f"{V1}/projections",
    twin(Standing),
    "List projections",
    links_to("showProjection", *OF_VIEWS, projection="$response.body#/data/0/name"),
)
async def list_projections(
    request: ApiRequest, oversight: NamedDependency[Oversight]
) -> Answer[Any]:
    """Say of each how far it is behind the log, how fast it follows, and who posts it."""
    return listed_part(request, await oversight.ask(standings))


@one_of(PROJECTION, twin(Standing), "Show a projection", links_to(*OF_VIEWS, projection=IN_PATH))
async def show_projection(
    request: ApiRequest, projection: Name, oversight: NamedDependency[Oversight]
) -> Answer[Any]:
    """Say how far a projection is behind the log, how fast it follows, and who posts it."""
    check_known(projection)
    found = await oversight.ask(standings, projection)
    return shown(request, camelled(found[0]))


@list_of(
    f"{PROJECTION}/operations",
    OperationView,
    "List what was asked of a projection",
    links_to(
        "showOperation", projection=IN_PATH, operation_id="$response.body#/data/0/operationId"
    ),
)
async def list_operations(
    request: ApiRequest, projection: Name, oversight: NamedDependency[Oversight]
) -> Answer[Any]:
    """List who asked for what, when and why, and what came of it; the newest first."""
    check_known(projection)
    asked, part = page_of(request)
    found = await oversight.ask(operations.operations, projection, **part)
    total = await oversight.ask(operations.count, projection)
    return listed(request, [operation_view(one) for one in found], asked, total)


@one_of(
    f"{PROJECTION}/operations/{{operation_id:str}}",
    OperationView,
    "Follow what was asked of a projection",
    links_to("showRebuild", projection=IN_PATH, rebuild_id="$response.body#/data/rebuildId"),
)
async def show_operation(
    request: ApiRequest,
    projection: Name,
    operation_id: OperationId,
    oversight: NamedDependency[Oversight],
) -> Answer[Any]:
    """Say what came of a request, or how far it is."""
    check_known(projection)
    found = await oversight.ask(followed, projection, operation_id)
    if found is None:
        raise NotFound
    return shown(request, operation_view(*found))


def followed(
    connection: Connection[TupleRow], projection: str, operation_id: UUID
) -> tuple[operations.Operation, Rebuild | None] | None:
    """Return a request and its rebuild."""
    found = operations.operation(connection, projection, operation_id)
    if found is None:
        return None
    job = None if found.rebuild_id is None else find(connection, found.rebuild_id)
    return found, job


@list_of(
    f"{PROJECTION}/rebuilds",
    REBUILD,
    "List the rebuilds of a projection",
    links_to("showRebuild", projection=IN_PATH, rebuild_id=FIRST),
)
async def list_rebuilds(
    request: ApiRequest, projection: Name, oversight: NamedDependency[Oversight]
) -> Answer[Any]:
    """List rebuilds, also those that a new release began by itself; the newest first."""
    check_known(projection)
    return listed_part(request, await oversight.ask(rebuilds, projection, limit=MOST_REBUILDS))


@one_of(f"{PROJECTION}/rebuilds/{{rebuild_id:int}}", REBUILD, "Show a rebuild")
async def show_rebuild(
    request: ApiRequest,
    projection: Name,
    rebuild_id: RebuildId,
    oversight: NamedDependency[Oversight],
) -> Answer[Any]:
    """Say how far a rebuild is, or what it made."""
    check_known(projection)
    check_number(rebuild_id)
    try:
        job = await oversight.ask(find, rebuild_id)
    except LookupError:
        raise NotFound from None
    if job.name != projection:
        raise NotFound
    return shown(request, camelled(job))


@list_of(
    f"{PROJECTION}/failures",
    twin(Failure),
    "List the failures of a projection",
    links_to(*OF_FAILURES, projection=IN_PATH, position=FIRST_FAILURE),
)
async def list_view_failures(
    request: ApiRequest, projection: Name, oversight: NamedDependency[Oversight]
) -> Answer[Any]:
    """List the events that could not be applied, each with how many wait behind it."""
    check_known(projection)
    return listed_part(request, await oversight.ask(failures, projection, limit=MOST_FAILURES))


@one_of(f"{PROJECTION}/failures/{{position:int}}", twin(FailureDetail), "Show a failure")
async def show_view_failure(
    request: ApiRequest,
    projection: Name,
    position: Position,
    oversight: NamedDependency[Oversight],
) -> Answer[Any]:
    """Show the event at a position that could not be applied, and why."""
    check_known(projection)
    check_number(position)
    try:
        return shown(request, camelled(await oversight.ask(failed_at, projection, position)))
    except LookupError:
        raise NotFound from None


def failed_at(connection: Connection[TupleRow], projection: str, position: int) -> FailureDetail:
    """Return the failure of the event at a position; `LookupError` if there is none."""
    key = operations.failed_key(connection, projection, position)
    return failure(connection, projection, key)


HANDLERS = [
    list_projections,
    show_projection,
    list_operations,
    show_operation,
    list_rebuilds,
    show_rebuild,
    list_view_failures,
    show_view_failure,
]
