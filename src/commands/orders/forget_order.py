"""Forget what an order says of its buyer: by the system, once the buyer is forgotten."""

from uuid import UUID

import msgspec

from commands.aggregates import ORDER
from commands.work import Work
from domain.order import forget


class ForgetOrder(msgspec.Struct, frozen=True, kw_only=True):
    """The order of somebody who is forgotten."""

    order_id: UUID


async def forget_order(work: Work, request: ForgetOrder) -> None:
    """Record that its texts are no more, so that every view of it shows it so."""
    order = await work.target(ORDER, request.order_id)
    work.add(request.order_id, forget(order))
