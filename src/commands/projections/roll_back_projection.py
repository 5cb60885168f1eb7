"""Roll a projection back: the tables from before the last swap are read again."""

import msgspec

from commands.projections.asking import Operation, asked, control_of, noted
from commands.work import Work
from domain import projection_control as domain


class RollBackProjection(msgspec.Struct, frozen=True, kw_only=True):
    """The view to roll back, and why."""

    projection: str
    reason: str


async def roll_back_projection(work: Work, request: RollBackProjection) -> Operation:
    """Swap the old tables in; `RebuildUnderWay`."""
    control = await control_of(work, request.projection)
    ask = asked(request.projection, request.reason)
    return noted(work, ask, domain.roll_back(control, ask))
