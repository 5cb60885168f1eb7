"""Throttle the rebuild under way: it works in a share of the time."""

import msgspec

from commands.projections.asking import Operation, asked, control_of, noted
from commands.work import Work
from domain import projection_control as domain


class ThrottleRebuild(msgspec.Struct, frozen=True, kw_only=True):
    """The view, the share of the time in percent, and why."""

    projection: str
    throttle: int
    reason: str


async def throttle_rebuild(work: Work, request: ThrottleRebuild) -> Operation:
    """Have the rebuild slowed down, or let it go."""
    await control_of(work, request.projection)
    ask = asked(request.projection, request.reason)
    return noted(work, ask, domain.throttle(ask, request.throttle))
