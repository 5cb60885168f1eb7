"""Refund an order that was paid; stock goes back unless the goods have left."""

from uuid import UUID

import msgspec

from commands.orders.own_order import give_stock_back, visible_order
from commands.work import Work
from domain.order import refund


class RefundOrder(msgspec.Struct, frozen=True, kw_only=True):
    """The order and why."""

    order_id: UUID
    reason: str


async def refund_order(work: Work, request: RefundOrder) -> None:
    """Give the money back; `OrderNotPaid` if there is none to give."""
    order = await visible_order(work, request.order_id)
    work.add(request.order_id, refund(order, request.reason))
    await give_stock_back(work, request.order_id, order)
