"""Deliver an order: record that a shipped order arrived."""

from uuid import UUID

import msgspec

from commands.aggregates import ORDER
from commands.work import Work
from domain.order import deliver


class DeliverOrder(msgspec.Struct, frozen=True, kw_only=True):
    """The order, and what is recorded of it."""

    order_id: UUID


async def deliver_order(work: Work, request: DeliverOrder) -> None:
    """Record it; `OrderNotShipped` if it has not left."""
    order = await work.target(ORDER, request.order_id)
    work.add(request.order_id, deliver(order))
