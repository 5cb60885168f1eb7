"""Import a product: something sold in another system, its stock not tracked here."""

from uuid import UUID

import msgspec

from commands.aggregates import PRODUCT
from commands.work import SKU, Work
from domain.money import Money
from domain.product import checked_sku, list_for_sale


class ImportProduct(msgspec.Struct, frozen=True, kw_only=True):
    """The product; `product_id` derives from the SKU, so that a second import adds nothing."""

    product_id: UUID
    sku: str
    name: str
    price: Money


async def import_product(work: Work, request: ImportProduct) -> None:
    """List the product; a `VersionConflict` says that it was imported before."""
    events = list_for_sale(request.sku, request.name, request.price, None)
    work.create(PRODUCT, request.product_id, events)
    work.claim(SKU, checked_sku(request.sku), request.product_id)
