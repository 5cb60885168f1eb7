"""List a product: offer it for sale."""

import msgspec

from commands.aggregates import PRODUCT
from commands.identifiers import new_id
from commands.work import SKU, Work
from domain.money import Money
from domain.product import checked_sku, list_for_sale


class ListProduct(msgspec.Struct, frozen=True, kw_only=True):
    """What to offer; `stock` None: not tracked."""

    sku: str
    name: str
    price: Money
    stock: int | None


async def list_product(work: Work, request: ListProduct) -> None:
    """Offer the product; `SkuTaken` if another one has the SKU."""
    product_id = new_id()
    events = list_for_sale(request.sku, request.name, request.price, request.stock)
    work.create(PRODUCT, product_id, events)
    work.claim(SKU, checked_sku(request.sku), product_id)
