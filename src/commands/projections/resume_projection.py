"""Resume a projection: its view follows the log again."""

import msgspec

from commands.projections.asking import Operation, asked, control_of, noted
from commands.work import Work
from domain import projection_control as domain


class ResumeProjection(msgspec.Struct, frozen=True, kw_only=True):
    """The view to resume, and why."""

    projection: str
    reason: str


async def resume_projection(work: Work, request: ResumeProjection) -> Operation:
    """Let the view follow the log again; `NotPaused`."""
    control = await control_of(work, request.projection)
    ask = asked(request.projection, request.reason)
    return noted(work, ask, domain.resume(control, ask))
