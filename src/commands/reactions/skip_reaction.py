"""Skip a reaction: an event for which it failed is to have no effect."""

import msgspec

from commands.aggregates import REACTION_CONTROL
from commands.work import Work
from domain import reaction_control as domain


class SkipReaction(msgspec.Struct, frozen=True, kw_only=True):
    """The reaction, the event's position, and why."""

    reaction: str
    position: int
    reason: str


async def skip_reaction(work: Work, request: SkipReaction) -> None:
    """Have it left out."""
    stream_id = domain.stream_of(request.reaction)
    await work.target_or_new(REACTION_CONTROL, stream_id)
    work.add(stream_id, domain.skip(request.reaction, request.position, request.reason))
