"""The operators' hands over HTTP: pause, rebuild, repair projections; workers carry it out."""

from typing import Annotated, Literal
from uuid import UUID

import msgspec
from litestar.di import NamedDependency
from litestar.params import JSONBody, PathParameter

from api.envelope import Answer, Success
from api.guards import ADMIN
from api.request import ApiRequest
from api.routes import V1, route
from api.write.intake import Command, Intake
from api.write.receipts import accepted
from commands.execution import Handler
from commands.projections.asking import Operation
from commands.projections.cancel_rebuild import CancelRebuild, cancel_rebuild
from commands.projections.pause_projection import PauseProjection, pause_projection
from commands.projections.prune_projection import PruneProjection, prune_projection
from commands.projections.rebuild_projection import RebuildProjection, rebuild_projection
from commands.projections.resume_projection import ResumeProjection, resume_projection
from commands.projections.retry_failures import RetryFailures, retry_failures
from commands.projections.roll_back_projection import RollBackProjection, roll_back_projection
from commands.projections.skip_failure import SkipFailure, skip_failure
from commands.projections.swap_rebuild import SwapRebuild, swap_rebuild
from commands.projections.throttle_rebuild import ThrottleRebuild, throttle_rebuild
from domain.projection_control import LEAST_THROTTLE, LONGEST_REASON, WHOLE, HowToRebuild

TAG = "Projections"
PROJECTION = f"{V1}/projections/{{projection:str}}"
FAILURE = f"{PROJECTION}/failures/{{position:int}}"
REFUSALS = ("NOT_FOUND", "VERSION_CONFLICT", "PRECONDITION_FAILED")
STATEFUL = (*REFUSALS, "INVALID_STATE")

Name = Annotated[str, PathParameter(description="The projection's name.")]
Position = Annotated[int, PathParameter(description="The position of the event that failed.")]
Reason = Annotated[
    str, msgspec.Meta(max_length=LONGEST_REASON, examples=["the disk is being replaced"])
]
Share = Annotated[int, msgspec.Meta(ge=LEAST_THROTTLE, le=WHOLE, examples=[50])]


class Why(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """Why it is asked for: kept in the log."""

    reason: Reason


class Rebuild(Why, frozen=True):
    """Why, and how: `dryRun` only compares, `hold` waits for a swap, `throttle` spares the rest."""

    dry_run: bool = False
    hold: bool = False
    on_failure: Literal["stop", "park"] = "stop"
    throttle: Share = WHOLE


class Throttle(Why, frozen=True):
    """Why, and in which share of the time builders work, in percent."""

    throttle: Share


class Accepted(msgspec.Struct, frozen=True, rename="camel"):
    """What was asked for is in the log, under this id; the version is that of the control."""

    operation_id: UUID
    version: int


AcceptedAnswer = Answer[Success[Accepted]]


async def accept(
    request: ApiRequest,
    intake: Intake,
    projection: str,
    handler: Handler[Command, Operation],
    command: Command,
) -> AcceptedAnswer:
    """Take a request to a projection, and say where it can be followed."""
    receipt = await intake.take(request, handler, command)
    operation_id = receipt.answer.operation_id
    location = f"{V1}/projections/{projection}/operations/{operation_id}"
    return accepted(receipt, location, Accepted(operation_id, receipt.version))


@route(
    "POST",
    f"{PROJECTION}/pause",
    who=ADMIN,
    summary="Pause a projection",
    tag=TAG,
    status=202,
    refusals=STATEFUL,
)
async def pause_view(
    request: ApiRequest,
    projection: Name,
    data: JSONBody[Why],
    intake: NamedDependency[Intake],
) -> AcceptedAnswer:
    """Let the view stand still; it is read as it is, and says how far it has seen."""
    command = PauseProjection(projection=projection, reason=data.reason)
    return await accept(request, intake, projection, pause_projection, command)


@route(
    "POST",
    f"{PROJECTION}/resume",
    who=ADMIN,
    summary="Resume a projection",
    tag=TAG,
    status=202,
    refusals=STATEFUL,
)
async def resume_view(
    request: ApiRequest,
    projection: Name,
    data: JSONBody[Why],
    intake: NamedDependency[Intake],
) -> AcceptedAnswer:
    """Let the view follow the log again."""
    command = ResumeProjection(projection=projection, reason=data.reason)
    return await accept(request, intake, projection, resume_projection, command)


@route(
    "POST",
    f"{PROJECTION}/rebuild",
    who=ADMIN,
    summary="Rebuild a projection",
    tag=TAG,
    status=202,
    refusals=STATEFUL,
)
async def rebuild_view(
    request: ApiRequest,
    projection: Name,
    data: JSONBody[Rebuild],
    intake: NamedDependency[Intake],
) -> AcceptedAnswer:
    """Make the view anew beside the live one, which is read meanwhile, and swap it in."""
    how = HowToRebuild(
        dry_run=data.dry_run, hold=data.hold, on_failure=data.on_failure, throttle=data.throttle
    )
    command = RebuildProjection(projection=projection, reason=data.reason, how=how)
    return await accept(request, intake, projection, rebuild_projection, command)


@route(
    "POST",
    f"{PROJECTION}/compare",
    who=ADMIN,
    summary="Compare a projection",
    tag=TAG,
    status=202,
    refusals=STATEFUL,
)
async def compare_view(
    request: ApiRequest,
    projection: Name,
    data: JSONBody[Why],
    intake: NamedDependency[Intake],
) -> AcceptedAnswer:
    """Find out whether the view holds what the log says: a rebuild that is dropped at its end."""
    how = HowToRebuild(dry_run=True)
    command = RebuildProjection(projection=projection, reason=data.reason, how=how)
    return await accept(request, intake, projection, rebuild_projection, command)


@route(
    "POST",
    f"{PROJECTION}/throttle",
    who=ADMIN,
    summary="Throttle a rebuild",
    tag=TAG,
    status=202,
    refusals=REFUSALS,
)
async def throttle_view_rebuild(
    request: ApiRequest,
    projection: Name,
    data: JSONBody[Throttle],
    intake: NamedDependency[Intake],
) -> AcceptedAnswer:
    """Let the rebuild under way work in a share of the time."""
    command = ThrottleRebuild(projection=projection, reason=data.reason, throttle=data.throttle)
    return await accept(request, intake, projection, throttle_rebuild, command)


@route(
    "POST",
    f"{PROJECTION}/swap",
    who=ADMIN,
    summary="Swap a rebuild in",
    tag=TAG,
    status=202,
    refusals=REFUSALS,
)
async def swap_view(
    request: ApiRequest,
    projection: Name,
    data: JSONBody[Why],
    intake: NamedDependency[Intake],
) -> AcceptedAnswer:
    """Swap the rebuild in that was held."""
    command = SwapRebuild(projection=projection, reason=data.reason)
    return await accept(request, intake, projection, swap_rebuild, command)


@route(
    "POST",
    f"{PROJECTION}/cancel",
    who=ADMIN,
    summary="Cancel a rebuild",
    tag=TAG,
    status=202,
    refusals=REFUSALS,
)
async def cancel_view_rebuild(
    request: ApiRequest,
    projection: Name,
    data: JSONBody[Why],
    intake: NamedDependency[Intake],
) -> AcceptedAnswer:
    """Give the rebuild under way up; the live view stays as it is."""
    command = CancelRebuild(projection=projection, reason=data.reason)
    return await accept(request, intake, projection, cancel_rebuild, command)


@route(
    "POST",
    f"{PROJECTION}/rollback",
    who=ADMIN,
    summary="Roll a projection back",
    tag=TAG,
    status=202,
    refusals=STATEFUL,
)
async def roll_back_view(
    request: ApiRequest,
    projection: Name,
    data: JSONBody[Why],
    intake: NamedDependency[Intake],
) -> AcceptedAnswer:
    """Read the tables from before the last swap again."""
    command = RollBackProjection(projection=projection, reason=data.reason)
    return await accept(request, intake, projection, roll_back_projection, command)


@route(
    "POST",
    f"{PROJECTION}/prune",
    who=ADMIN,
    summary="Prune a projection",
    tag=TAG,
    status=202,
    refusals=STATEFUL,
)
async def prune_view(
    request: ApiRequest,
    projection: Name,
    data: JSONBody[Why],
    intake: NamedDependency[Intake],
) -> AcceptedAnswer:
    """Drop the tables that were kept for a rollback."""
    command = PruneProjection(projection=projection, reason=data.reason)
    return await accept(request, intake, projection, prune_projection, command)


@route(
    "POST",
    f"{PROJECTION}/failures/retry",
    who=ADMIN,
    summary="Retry all failures",
    tag=TAG,
    status=202,
    refusals=REFUSALS,
)
async def retry_view_failures(
    request: ApiRequest,
    projection: Name,
    data: JSONBody[Why],
    intake: NamedDependency[Intake],
) -> AcceptedAnswer:
    """Apply again all that is parked, in order."""
    command = RetryFailures(projection=projection, reason=data.reason)
    return await accept(request, intake, projection, retry_failures, command)


@route(
    "POST",
    f"{FAILURE}/retry",
    who=ADMIN,
    summary="Retry a failure",
    tag=TAG,
    status=202,
    refusals=REFUSALS,
)
async def retry_view_failure(
    request: ApiRequest,
    projection: Name,
    position: Position,
    data: JSONBody[Why],
    intake: NamedDependency[Intake],
) -> AcceptedAnswer:
    """Apply again what is parked behind the event at a position, in order."""
    command = RetryFailures(projection=projection, reason=data.reason, position=position)
    return await accept(request, intake, projection, retry_failures, command)


@route(
    "POST",
    f"{FAILURE}/skip",
    who=ADMIN,
    summary="Skip a failure",
    tag=TAG,
    status=202,
    refusals=REFUSALS,
)
async def skip_view_failure(
    request: ApiRequest,
    projection: Name,
    position: Position,
    data: JSONBody[Why],
    intake: NamedDependency[Intake],
) -> AcceptedAnswer:
    """Leave the event at a position out of the view for good, and apply what waits behind it."""
    command = SkipFailure(projection=projection, reason=data.reason, position=position)
    return await accept(request, intake, projection, skip_failure, command)


HANDLERS = [
    pause_view,
    resume_view,
    rebuild_view,
    compare_view,
    throttle_view_rebuild,
    swap_view,
    cancel_view_rebuild,
    roll_back_view,
    prune_view,
    retry_view_failures,
    retry_view_failure,
    skip_view_failure,
]
