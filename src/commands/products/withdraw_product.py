"""Withdraw a product: it is no longer sold; orders that hold it go on."""

from uuid import UUID

import msgspec

from commands.aggregates import PRODUCT
from commands.work import Work
from domain.product import withdraw


class WithdrawProduct(msgspec.Struct, frozen=True, kw_only=True):
    """The product to withdraw."""

    product_id: UUID


async def withdraw_product(work: Work, request: WithdrawProduct) -> None:
    """Stop selling the product."""
    product = await work.target(PRODUCT, request.product_id)
    work.add(request.product_id, withdraw(product))
