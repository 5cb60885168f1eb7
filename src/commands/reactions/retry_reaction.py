"""Retry a reaction: bring about, once more, the effect of an event for which that failed."""

import msgspec

from commands.aggregates import REACTION_CONTROL
from commands.work import Work
from domain import reaction_control as domain


class RetryReaction(msgspec.Struct, frozen=True, kw_only=True):
    """The reaction, the event's position (None: all that failed), and why."""

    reaction: str
    position: int | None
    reason: str


async def retry_reaction(work: Work, request: RetryReaction) -> None:
    """Have it tried again."""
    stream_id = domain.stream_of(request.reaction)
    await work.target_or_new(REACTION_CONTROL, stream_id)
    work.add(stream_id, domain.retry(request.reaction, request.position, request.reason))
