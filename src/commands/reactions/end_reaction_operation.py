"""End a reaction's operation: say in the log what came of something that operators decided."""

import msgspec

from commands.aggregates import REACTION_CONTROL
from commands.work import Work
from domain import reaction_control as domain
from domain.reaction_control import Outcome, ReactionControl


class EndReactionOperation(msgspec.Struct, frozen=True, kw_only=True):
    """The request by its position in the log, and what came of it."""

    reaction: str
    request: int
    outcome: Outcome
    detail: str


async def end_reaction_operation(work: Work, request: EndReactionOperation) -> None:
    """Note the outcome, once."""
    stream_id = domain.stream_of(request.reaction)
    control = await work.target_or_new(REACTION_CONTROL, stream_id) or ReactionControl()
    events = domain.end(control, request.reaction, request.request, request.outcome, request.detail)
    work.add(stream_id, events)
