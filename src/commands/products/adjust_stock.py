"""Adjust stock: goods came in or were lost, apart from orders."""

from uuid import UUID

import msgspec

from commands.aggregates import PRODUCT
from commands.work import Work
from domain import product as domain


class AdjustStock(msgspec.Struct, frozen=True, kw_only=True):
    """How many pieces more (+) or fewer (-), and why."""

    product_id: UUID
    quantity: int
    reason: str


class StockLeft(msgspec.Struct, frozen=True):
    """What can be ordered afterwards."""

    stock: int


async def adjust_stock(work: Work, request: AdjustStock) -> StockLeft:
    """Count stock in or out; `OutOfStock` rather than below zero."""
    product = await work.target(PRODUCT, request.product_id)
    work.add(request.product_id, domain.adjust_stock(product, request.quantity, request.reason))
    return StockLeft((product.stock or 0) + request.quantity)
