"""Add a note to an order."""

from uuid import UUID

import msgspec

from commands.aggregates import ORDER
from commands.work import Work
from domain.order import add_note


class AddOrderNote(msgspec.Struct, frozen=True, kw_only=True):
    """The order, and what is recorded of it."""

    order_id: UUID
    text: str


async def add_order_note(work: Work, request: AddOrderNote) -> None:
    """Record it; the order stays as it is."""
    await work.target(ORDER, request.order_id)
    work.add(request.order_id, add_note(request.text))
