"""Rebuild a projection: make its view anew beside the live one, then swap it in."""

import msgspec

from commands.projections.asking import Operation, asked, control_of, noted
from commands.work import Work
from domain import projection_control as domain


class RebuildProjection(msgspec.Struct, frozen=True, kw_only=True):
    """The view to make anew, why, and how."""

    projection: str
    reason: str
    how: domain.HowToRebuild


async def rebuild_projection(work: Work, request: RebuildProjection) -> Operation:
    """Have the view made anew, or have it said what would change; `RebuildUnderWay`."""
    control = await control_of(work, request.projection)
    ask = asked(request.projection, request.reason)
    return noted(work, ask, domain.rebuild(control, ask, request.how))
