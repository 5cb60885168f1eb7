"""End an operation: say in the log what came of something that was asked of a projection."""

from uuid import UUID

import msgspec

from commands.projections.asking import control_of
from commands.work import Work
from domain import projection_control as domain
from domain.projection_control import Outcome


class EndOperation(msgspec.Struct, frozen=True, kw_only=True):
    """The request, and what came of it."""

    projection: str
    operation_id: UUID
    outcome: Outcome
    detail: str


async def end_operation(work: Work, request: EndOperation) -> None:
    """Note the outcome, once."""
    control = await control_of(work, request.projection)
    events = domain.end(
        control, request.projection, request.operation_id, request.outcome, request.detail
    )
    work.add(domain.stream_of(request.projection), events)
