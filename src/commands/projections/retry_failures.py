"""Retry failures: what is parked is applied again, in order."""

import msgspec

from commands.projections.asking import Operation, asked, control_of, noted
from commands.work import Work
from domain import projection_control as domain


class RetryFailures(msgspec.Struct, frozen=True, kw_only=True):
    """The view, the failed event's position (None: all there is), and why."""

    projection: str
    position: int | None = None
    reason: str


async def retry_failures(work: Work, request: RetryFailures) -> Operation:
    """Have what is parked tried again."""
    await control_of(work, request.projection)
    ask = asked(request.projection, request.reason)
    return noted(work, ask, domain.retry_failures(ask, request.position))
