"""Pause a projection: its view stands still, and is read as it is."""

import msgspec

from commands.projections.asking import Operation, asked, control_of, noted
from commands.work import Work
from domain import projection_control as domain


class PauseProjection(msgspec.Struct, frozen=True, kw_only=True):
    """The view to pause, and why."""

    projection: str
    reason: str


async def pause_projection(work: Work, request: PauseProjection) -> Operation:
    """Let the view stand still; `AlreadyPaused`."""
    control = await control_of(work, request.projection)
    ask = asked(request.projection, request.reason)
    return noted(work, ask, domain.pause(control, ask))
