"""Skip a failure: its event is left out of the view, what waits behind it is applied."""

import msgspec

from commands.projections.asking import Operation, asked, control_of, noted
from commands.work import Work
from domain import projection_control as domain


class SkipFailure(msgspec.Struct, frozen=True, kw_only=True):
    """The view, the failed event's position, and why."""

    projection: str
    position: int
    reason: str


async def skip_failure(work: Work, request: SkipFailure) -> Operation:
    """Have the event left out for good."""
    await control_of(work, request.projection)
    ask = asked(request.projection, request.reason)
    return noted(work, ask, domain.skip_failure(ask, request.position))
