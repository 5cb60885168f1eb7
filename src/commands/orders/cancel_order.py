"""Cancel an order before it is shipped: by its owner or staff; reserved stock goes back."""

from uuid import UUID

import msgspec

from commands.orders.own_order import give_stock_back, visible_order
from commands.work import Work
from domain.order import cancel


class CancelOrder(msgspec.Struct, frozen=True, kw_only=True):
    """The order and why."""

    order_id: UUID
    reason: str


async def cancel_order(work: Work, request: CancelOrder) -> None:
    """Call the order off; `OrderAlreadyShipped` when it is too late."""
    order = await visible_order(work, request.order_id)
    work.add(request.order_id, cancel(order, request.reason))
    await give_stock_back(work, request.order_id, order)
