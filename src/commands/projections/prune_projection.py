"""Prune a projection: drop the tables that were kept for a rollback."""

import msgspec

from commands.projections.asking import Operation, asked, control_of, noted
from commands.work import Work
from domain import projection_control as domain


class PruneProjection(msgspec.Struct, frozen=True, kw_only=True):
    """The view to prune, and why."""

    projection: str
    reason: str


async def prune_projection(work: Work, request: PruneProjection) -> Operation:
    """Drop the old tables; `RebuildUnderWay`."""
    control = await control_of(work, request.projection)
    ask = asked(request.projection, request.reason)
    return noted(work, ask, domain.prune(control, ask))
