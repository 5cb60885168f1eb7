"""Operators' decisions about reactions over HTTP: try an effect again, or leave it out."""

from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Annotated, Any

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
from commands.execution import Handler
from commands.projections.verbs import Verb
from commands.reactions import by_word, verbs
from commands.work import Work
from domain.reaction_control import LONGEST_REASON, checked_position

TAG = "Reactions"
REACTION = f"{V1}/reactions/{{reaction:str}}"
FAILURES = f"{REACTION}/failures"
FAILURE = f"{FAILURES}/{{position:int}}"
ReactionName = Annotated[str, PathParameter(description="The reaction's name.")]
EventPosition = Annotated[int, PathParameter(description="The event's position in the log.")]
REFUSALS = ("NOT_FOUND", "VERSION_CONFLICT", "PRECONDITION_FAILED")

IN_PATH = "$request.path.reaction"
FOLLOWED = {
    **links_to("showDecision", reaction=IN_PATH, operation_id="$response.body#/data/operationId"),
    **links_to("showReaction", "listFailures", reaction=IN_PATH),
}


class WhyReaction(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why it is decided so: kept in the log."""

    reason: Annotated[str, written("the mail server is mended", LONGEST_REASON)]


class Decided(msgspec.Struct, frozen=True, rename="camel"):
    """The decision is in the log, at `operationId`; a worker carries it out."""

    operation_id: int
    reaction: str
    position: int | None


DecidedAnswer = Answer[Success[Decided]]
Look = Callable[[], Awaitable[None]]
Decide = Handler[Any, None]


def after(look: Look, handler: Decide) -> Decide:
    """Return a handler that looks first, as a part of the command.

    So what was answered under a key is answered again, whatever there is to be seen by then.
    """

    @wraps(handler)
    async def decide(work: Work, command: Any) -> None:
        await look()
        await handler(work, command)

    return decide


async def accept(  # noqa: PLR0913, PLR0917 - who asks, of whom, for what
    request: ApiRequest,
    intake: Intake,
    verb: Verb,
    reaction: str,
    position: int | None,
    reason: str,
    look: Look | None = None,
) -> DecidedAnswer:
    """Take a decision about a reaction, and say where it can be followed."""
    handler, command = by_word.asked(verb, reaction=reaction, position=position, reason=reason)
    receipt = await intake.take(request, after(look, handler) if look else handler, command)
    location = f"{V1}/reactions/{reaction}/operations/{receipt.position}"
    return accepted(receipt, location, Decided(receipt.position, reaction, position))


def of_all(verb: Verb, name: str) -> HTTPRouteHandler:
    """Return the route of a verb about all that failed; `name` is that in the document."""

    async def ask(
        request: ApiRequest,
        reaction: ReactionName,
        data: JSONBody[WhyReaction],
        intake: NamedDependency[Intake],
        reaction_desk: NamedDependency[Any],
    ) -> DecidedAnswer:
        await reaction_desk.failures(reaction, 1, 0)
        return await accept(request, intake, verb, reaction, None, data.reason)

    return declared(ask, f"{FAILURES}/{verb.word}", verb, name)


def of_one(verb: Verb, name: str) -> HTTPRouteHandler:
    """Return the route of a verb about one event that failed."""

    async def ask(  # noqa: PLR0913, PLR0917 - a parameter for each thing it needs
        request: ApiRequest,
        reaction: ReactionName,
        position: EventPosition,
        data: JSONBody[WhyReaction],
        intake: NamedDependency[Intake],
        reaction_desk: NamedDependency[Any],
    ) -> DecidedAnswer:
        async def look() -> None:
            await reaction_desk.failure(reaction, checked_position(position))

        return await accept(request, intake, verb, reaction, position, data.reason, look)

    return declared(ask, f"{FAILURE}/{verb.word}", verb, name)


def declared(ask: AnyCallable, path: str, verb: Verb, name: str) -> HTTPRouteHandler:
    """Declare a route as its verb says."""
    ask.__name__, ask.__doc__ = name, verb.tells
    return route(
        "POST",
        path,
        who=ADMIN,
        summary=verb.title,
        tag=TAG,
        status=202,
        refusals=REFUSALS,
        links=FOLLOWED,
    )(ask)


HANDLERS = [
    of_all(verbs.RETRY_ALL, "retry_all"),
    of_one(verbs.RETRY, "retry_one"),
    of_one(verbs.SKIP, "skip_one"),
]
