"""How every request to a projection begins: the projection exists, and the request gets an id."""

from uuid import UUID

import msgspec

from commands.aggregates import PROJECTION_CONTROL
from commands.identifiers import new_id
from commands.work import Work
from domain.projection_control import Asked, Event, ProjectionControl, stream_of
from domain.refusal import NotFound


class Operation(msgspec.Struct, frozen=True):
    """What was asked for can be followed under this id."""

    operation_id: UUID


async def control_of(work: Work, projection: str) -> ProjectionControl:
    """Return the control of a projection, also before anything was asked of it; `NotFound`."""
    if projection not in work.tools.projections:
        raise NotFound
    stream_id = stream_of(projection)
    return await work.target_or_new(PROJECTION_CONTROL, stream_id) or ProjectionControl()


def asked(projection: str, reason: str) -> Asked:
    """Return a request with an id of its own."""
    return Asked(new_id(), projection, reason)


def noted(work: Work, request: Asked, events: list[Event]) -> Operation:
    """Let what was decided be appended to the projection's control."""
    work.add(stream_of(request.projection), events)
    return Operation(request.operation_id)
