"""What was asked of projections, as HTTP and the command line show it."""

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from api.camel_case import camel
from api.read.camel import camelled, twin
from projections.oversight import operations
from projections.rebuilds.rebuild import Rebuild

REBUILD = twin(Rebuild)
OF_ALL = {"operation_id", "projection", "reason"}


class OperationView(msgspec.Struct, frozen=True, rename="camel"):
    """What was asked of a projection, by whom and why, and what came of it.

    `outcome` is null until it has ended: done, refused, failed or cancelled. `position` is where in
    the log it was asked. `rebuild` says how far a rebuild is.
    """

    operation_id: UUID
    action: str
    parameters: dict[str, Any]
    reason: str
    asked_by: str
    role: str
    asked_at: datetime
    position: int
    outcome: str | None
    detail: str | None
    ended_at: datetime | None
    rebuild_id: int | None
    rebuild: REBUILD | None = None  # type: ignore[valid-type]  # made for the document


def operation_view(found: operations.Operation, job: Rebuild | None = None) -> OperationView:
    """Show an operation, with how far its rebuild is."""
    request = found.request
    fields = msgspec.structs.asdict(request)
    given = {name: msgspec.to_builtins(fields[name]) for name in fields if name not in OF_ALL}
    return OperationView(
        request.operation_id,
        found.action,
        {camel(name): value for name, value in (given.pop("how", {}) | given).items()},
        request.reason,
        found.actor_id,
        found.actor_role,
        found.asked_at,
        found.position,
        found.outcome,
        found.detail,
        found.ended_at,
        found.rebuild_id,
        camelled(job) if job else None,
    )
