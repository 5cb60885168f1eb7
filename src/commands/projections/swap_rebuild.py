"""Swap a rebuild in that was held until somebody has looked at it."""

import msgspec

from commands.projections.asking import Operation, asked, control_of, noted
from commands.work import Work
from domain import projection_control as domain


class SwapRebuild(msgspec.Struct, frozen=True, kw_only=True):
    """The view whose rebuild is to go live, and why."""

    projection: str
    reason: str


async def swap_rebuild(work: Work, request: SwapRebuild) -> Operation:
    """Have the rebuild swapped in."""
    await control_of(work, request.projection)
    ask = asked(request.projection, request.reason)
    return noted(work, ask, domain.swap(ask))
