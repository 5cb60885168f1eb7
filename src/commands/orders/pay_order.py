"""Pay an order: record that its total was received."""

from uuid import UUID

import msgspec

from commands.aggregates import ORDER
from commands.work import Work
from domain.money import Money
from domain.order import pay


class PayOrder(msgspec.Struct, frozen=True, kw_only=True):
    """The order, and what is recorded of it."""

    order_id: UUID
    reference: str
    amount: Money


async def pay_order(work: Work, request: PayOrder) -> None:
    """Record it; `Invalid` if it is not the total."""
    order = await work.target(ORDER, request.order_id)
    work.add(request.order_id, pay(order, request.reference, request.amount))
