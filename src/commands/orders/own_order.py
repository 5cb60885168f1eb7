"""Orders as their owners and staff find them."""

from uuid import UUID

from commands.aggregates import ORDER, PRODUCT
from commands.work import Work
from domain.order import Order, holds_stock
from domain.product import release
from domain.refusal import NotFound


async def visible_order(work: Work, order_id: UUID) -> Order:
    """Return the order that the command is about; somebody else's does not exist."""
    order = await work.find(ORDER, order_id)
    if order is None or (order.user_id != work.asker.user_id and not work.asker.is_staff):
        raise NotFound
    work.aim_at(order_id)
    return order


async def give_stock_back(work: Work, order_id: UUID, order: Order) -> None:
    """Release what was reserved for goods that have not left."""
    reserved = [line for line in order.lines if line.reserved]
    if not reserved or not holds_stock(order):
        return
    await work.find_many(PRODUCT, [line.product_id for line in reserved])
    for line in reserved:
        work.add(line.product_id, release(order_id, line.quantity))
