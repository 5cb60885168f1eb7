"""Change a product: another name, another price for orders from now on."""

from uuid import UUID

import msgspec

from commands.aggregates import PRODUCT
from commands.work import Work
from domain.money import Money
from domain.product import change_details


class ChangeProduct(msgspec.Struct, frozen=True, kw_only=True):
    """What a product is to be; None stays as it is."""

    product_id: UUID
    name: str | None = None
    price: Money | None = None


async def change_product(work: Work, request: ChangeProduct) -> None:
    """Change the product's details."""
    product = await work.target(PRODUCT, request.product_id)
    work.add(request.product_id, change_details(product, request.name, request.price))
