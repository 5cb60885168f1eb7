"""The operators' hands over HTTP: pause, rebuild, repair projections; workers carry it out."""

from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from litestar.di import NamedDependency
from litestar.handlers import HTTPRouteHandler
from litestar.params import JSONBody, PathParameter
from litestar.types import AnyCallable

from api.envelope import Answer, Success
from api.guards import ADMIN
from api.links import links_to
from api.request import ApiRequest
from api.routes import V1, route
from api.write.intake import Intake
from api.write.receipts import accepted
from api.write.texts import written
from commands.projections import by_word, verbs
from commands.projections.verbs import Verb
from domain.projection_control import LEAST_THROTTLE, LONGEST_REASON, WHOLE, HowToRebuild

TAG = "Projections"
PROJECTION = f"{V1}/projections/{{projection:str}}"
FAILURES = f"{PROJECTION}/failures"
FAILURE = f"{FAILURES}/{{position:int}}"
REFUSALS = ("NOT_FOUND", "VERSION_CONFLICT", "PRECONDITION_FAILED")
STATEFUL = (*REFUSALS, "INVALID_STATE")

FOLLOWED = links_to(
    "showOperation",
    projection="$request.path.projection",
    operation_id="$response.body#/data/operationId",
)
HELD = links_to(
    "swapView", "cancelViewRebuild", "throttleViewRebuild", projection="$request.path.projection"
)

Name = Annotated[str, PathParameter(description="The projection's name.")]
Position = Annotated[int, PathParameter(description="The position of the event that failed.")]
Reason = Annotated[str, written("the disk is being replaced", LONGEST_REASON)]
Share = Annotated[int, msgspec.Meta(ge=LEAST_THROTTLE, le=WHOLE, examples=[50])]


class Why(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """Why it is asked for: kept in the log."""

    reason: Reason

    def given(self) -> dict[str, object]:
        """Return what the body says to the command."""
        return msgspec.structs.asdict(self)


class Rebuild(Why, frozen=True):
    """Why, and how: `dryRun` only compares, `hold` waits for a swap, `throttle` spares the rest."""

    dry_run: bool = False
    hold: bool = False
    on_failure: Literal["stop", "park"] = "stop"
    throttle: Share = WHOLE

    def given(self) -> dict[str, object]:
        """Return what the body says to the command."""
        how = msgspec.structs.asdict(self)
        return {"reason": how.pop("reason"), "how": HowToRebuild(**how)}


class Throttle(Why, frozen=True):
    """Why, and in which share of the time builders work, in percent."""

    throttle: Share


class Accepted(msgspec.Struct, frozen=True, rename="camel"):
    """What was asked for is in the log, under this id; the version is that of the control."""

    operation_id: UUID
    version: int


AcceptedAnswer = Answer[Success[Accepted]]


async def accept(
    request: ApiRequest, intake: Intake, verb: Verb, projection: str, given: dict[str, Any]
) -> AcceptedAnswer:
    """Take a request to a projection, and say where it can be followed."""
    handler, command = by_word.asked(verb, projection=projection, **given)
    receipt = await intake.take(request, handler, command)
    operation_id = receipt.answer.operation_id
    location = f"{V1}/projections/{projection}/operations/{operation_id}"
    return accepted(receipt, location, Accepted(operation_id, receipt.version))


def of_view(
    verb: Verb, name: str, body: type[Why] = Why, under: str = PROJECTION, **also: object
) -> HTTPRouteHandler:
    """Return the route of a verb; `name` is the operation's in the document.

    `also` goes into the command beside what the body says.
    """

    async def ask(
        request: ApiRequest,
        projection: Name,
        data: JSONBody[Why],
        intake: NamedDependency[Intake],
    ) -> AcceptedAnswer:
        return await accept(request, intake, verb, projection, {**data.given(), **also})

    ask.__annotations__["data"] = JSONBody[body]  # type: ignore[misc, valid-type]  # for Litestar
    return declared(ask, f"{under}/{verb.word}", verb, name)


def of_failure(verb: Verb, name: str) -> HTTPRouteHandler:
    """Return the route of a verb about one event that could not be applied."""

    async def ask(
        request: ApiRequest,
        projection: Name,
        position: Position,
        data: JSONBody[Why],
        intake: NamedDependency[Intake],
    ) -> AcceptedAnswer:
        return await accept(
            request, intake, verb, projection, {**data.given(), "position": position}
        )

    return declared(ask, f"{FAILURE}/{verb.word}", verb, name)


def declared(ask: AnyCallable, path: str, verb: Verb, name: str) -> HTTPRouteHandler:
    """Declare a route as its verb says."""
    ask.__name__, ask.__doc__ = name, verb.tells
    refusals = STATEFUL if verb.is_stateful else REFUSALS
    return route(
        "POST",
        path,
        who=ADMIN,
        summary=verb.title,
        tag=TAG,
        status=202,
        refusals=refusals,
        links={**FOLLOWED, **HELD} if verb is verbs.REBUILD else FOLLOWED,
    )(ask)


HANDLERS = [
    of_view(verbs.PAUSE, "pause_view"),
    of_view(verbs.RESUME, "resume_view"),
    of_view(verbs.REBUILD, "rebuild_view", Rebuild),
    of_view(verbs.COMPARE, "compare_view", how=HowToRebuild(dry_run=True)),
    of_view(verbs.THROTTLE, "throttle_view_rebuild", Throttle),
    of_view(verbs.SWAP, "swap_view"),
    of_view(verbs.CANCEL, "cancel_view_rebuild"),
    of_view(verbs.ROLL_BACK, "roll_back_view"),
    of_view(verbs.PRUNE, "prune_view"),
    of_view(verbs.RETRY_ALL, "retry_view_failures", under=FAILURES),
    of_failure(verbs.RETRY, "retry_view_failure"),
    of_failure(verbs.SKIP, "skip_view_failure"),
]
