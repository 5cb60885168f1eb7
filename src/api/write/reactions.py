"""Operators' decisions about reactions over HTTP: try an effect again, or leave it out."""

from typing import Annotated, Any

import msgspec
from litestar.di import NamedDependency
from litestar.params import JSONBody, PathParameter

from api.envelope import Answer, Success
from api.guards import ADMIN
from api.request import ApiRequest
from api.routes import V1, route
from api.write.intake import Intake
from api.write.receipts import accepted
from api.write.texts import written
from commands.reactions.retry_reaction import RetryReaction, retry_reaction
from commands.reactions.skip_reaction import SkipReaction, skip_reaction
from domain.reaction_control import LONGEST_REASON, checked_position

TAG = "Reactions"
REACTION = f"{V1}/reactions/{{reaction:str}}"
FAILURE = f"{REACTION}/failures/{{position:int}}"
ReactionName = Annotated[str, PathParameter(description="The reaction's name.")]
EventPosition = Annotated[int, PathParameter(description="The event's position in the log.")]
REFUSALS = ("NOT_FOUND", "VERSION_CONFLICT", "PRECONDITION_FAILED")


class WhyReaction(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why it is decided so: kept in the log."""

    reason: Annotated[str, written("the mail server is mended", LONGEST_REASON)]


class Decided(msgspec.Struct, frozen=True, rename="camel"):
    """The decision is in the log; a worker carries it out."""

    reaction: str
    position: int | None


DecidedAnswer = Answer[Success[Decided]]


@route(
    "POST",
    f"{REACTION}/failures/retry",
    who=ADMIN,
    summary="Retry all that failed",
    tag=TAG,
    status=202,
    refusals=REFUSALS,
)
async def retry_all(
    request: ApiRequest,
    reaction: ReactionName,
    data: JSONBody[WhyReaction],
    intake: NamedDependency[Intake],
    reaction_desk: NamedDependency[Any],
) -> DecidedAnswer:
    """Try every failed event again, and end the pause of an outage."""
    await reaction_desk.failures(reaction, 1, 0)
    command = RetryReaction(reaction=reaction, position=None, reason=data.reason)
    receipt = await intake.take(request, retry_reaction, command)
    return accepted(receipt, f"{V1}/reactions/{reaction}/failures", Decided(reaction, None))


@route(
    "POST",
    f"{FAILURE}/retry",
    who=ADMIN,
    summary="Retry an event",
    tag=TAG,
    status=202,
    refusals=REFUSALS,
)
async def retry_one(  # noqa: PLR0913, PLR0917 - a parameter for each thing it needs
    request: ApiRequest,
    reaction: ReactionName,
    position: EventPosition,
    data: JSONBody[WhyReaction],
    intake: NamedDependency[Intake],
    reaction_desk: NamedDependency[Any],
) -> DecidedAnswer:
    """Try the effect of a failed event once more, now."""
    await reaction_desk.failure(reaction, checked_position(position))
    command = RetryReaction(reaction=reaction, position=position, reason=data.reason)
    receipt = await intake.take(request, retry_reaction, command)
    return accepted(receipt, where(reaction, position), Decided(reaction, position))


@route(
    "POST",
    f"{FAILURE}/skip",
    who=ADMIN,
    summary="Skip an event",
    tag=TAG,
    status=202,
    refusals=REFUSALS,
)
async def skip_one(  # noqa: PLR0913, PLR0917 - a parameter for each thing it needs
    request: ApiRequest,
    reaction: ReactionName,
    position: EventPosition,
    data: JSONBody[WhyReaction],
    intake: NamedDependency[Intake],
    reaction_desk: NamedDependency[Any],
) -> DecidedAnswer:
    """Let a failed event, or the one that the reaction waits before, have no effect."""
    await reaction_desk.failure(reaction, checked_position(position))
    command = SkipReaction(reaction=reaction, position=position, reason=data.reason)
    receipt = await intake.take(request, skip_reaction, command)
    return accepted(receipt, where(reaction, position), Decided(reaction, position))


def where(reaction: str, position: int) -> str:
    """Return where it is to be seen what became of it: 404 when it is dealt with."""
    return f"{V1}/reactions/{reaction}/failures/{position}"


HANDLERS = [retry_all, retry_one, skip_one]
