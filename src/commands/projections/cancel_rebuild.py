"""Cancel the rebuild under way: the live view stays as it is."""

import msgspec

from commands.projections.asking import Operation, asked, control_of, noted
from commands.work import Work
from domain import projection_control as domain


class CancelRebuild(msgspec.Struct, frozen=True, kw_only=True):
    """The view whose rebuild is given up, and why."""

    projection: str
    reason: str


async def cancel_rebuild(work: Work, request: CancelRebuild) -> Operation:
    """Have the rebuild given up."""
    await control_of(work, request.projection)
    ask = asked(request.projection, request.reason)
    return noted(work, ask, domain.cancel(ask))
