"""Ship an order: hand a paid order to a carrier."""

from uuid import UUID

import msgspec

from commands.aggregates import ORDER
from commands.work import Work
from domain.order import ship


class ShipOrder(msgspec.Struct, frozen=True, kw_only=True):
    """The order, and what is recorded of it."""

    order_id: UUID
    carrier: str
    tracking_number: str


async def ship_order(work: Work, request: ShipOrder) -> None:
    """Record it; `OrderNotPaid` if it is not paid."""
    order = await work.target(ORDER, request.order_id)
    work.add(request.order_id, ship(order, request.carrier, request.tracking_number))
