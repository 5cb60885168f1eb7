"""Place an order: prices from the catalogue, stock reserved in the same append, all or nothing."""

from typing import Annotated
from uuid import UUID

import msgspec

from commands.aggregates import ORDER, PRODUCT, USER
from commands.identifiers import new_id
from commands.work import Work
from domain.money import Money
from domain.order import LARGEST_QUANTITY, Line, check_items, line_of, place, total_of
from domain.product import Product, reserve
from domain.refusal import Forbidden, Invalid
from domain.user import check_open


class Item(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """How many of which product."""

    product_id: UUID
    quantity: Annotated[int, msgspec.Meta(ge=1, le=LARGEST_QUANTITY)]


class PlaceOrder(msgspec.Struct, frozen=True, kw_only=True):
    """What to order; staff order for `user_id`, others for themselves."""

    items: list[Item]
    user_id: UUID | None = None


class Placed(msgspec.Struct, frozen=True):
    """What the asker could not know."""

    total: Money


async def place_order(work: Work, request: PlaceOrder) -> Placed:
    """Order the items; `OutOfStock`, `ProductNotForSale` or `Invalid` if one cannot be had."""
    check_items([(item.product_id, item.quantity) for item in request.items])
    buyer = await buyer_of(work, request)
    products = await work.find_many(PRODUCT, [item.product_id for item in request.items])
    order_id = new_id()
    lines: list[Line] = []
    for number, item in enumerate(request.items):
        product = products[item.product_id]
        if product is None:
            field = f"items[{number}].productId"
            raise Invalid.field(field, "There is no such product.", str(item.product_id))
        reserved = reserve(product, order_id, item.quantity, f"items[{number}].quantity")
        work.add(item.product_id, reserved)
        lines.append(line(item, product, reserved=bool(reserved)))
    currency = only_currency(products)
    work.create(ORDER, order_id, place(buyer, work.now, tuple(lines), currency))
    return Placed(total_of(tuple(lines), currency))


async def buyer_of(work: Work, request: PlaceOrder) -> UUID:
    """Return whose order it is; only staff may order for another."""
    own = work.asker.user_id
    if request.user_id is None or request.user_id == own:
        if own is None:
            raise Invalid.field("userId", "Say whose order it is.")
        return own
    if not work.asker.is_staff:
        raise Forbidden("Only staff may order for somebody else.")
    buyer = await work.find(USER, request.user_id)
    if buyer is None:
        raise Invalid.field("userId", "There is no such user.", str(request.user_id))
    check_open(buyer)
    return request.user_id


def line(item: Item, product: Product, *, reserved: bool) -> Line:
    """Make the order line of an item at the catalogue's price."""
    return line_of(
        item.product_id,
        product.sku,
        product.name,
        item.quantity,
        product.price,
        reserved=reserved,
    )


def only_currency(products: dict[UUID, Product | None]) -> str:
    """Return the currency of all the products; `Invalid` if they have several."""
    currencies = {product.price.currency for product in products.values() if product}
    if len(currencies) > 1:
        listed = ", ".join(sorted(currencies))
        raise Invalid.field("items", f"An order is in one currency, these are in {listed}.")
    return currencies.pop()
