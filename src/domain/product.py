"""A product: what the catalogue offers, at which price, and how much of it is in stock."""

from typing import assert_never
from uuid import UUID

import msgspec

from domain.money import Money, checked_price
from domain.plain_text import checked_text
from domain.refusal import Detail, Invalid, InvalidState, Refusal

LARGEST_STOCK = 10**9

# What happened. These names and fields are kept for ever: change an event by giving it a version.


class ProductListed(msgspec.Struct, frozen=True):
    """A product is offered. `stock` None: its stock is not tracked."""

    sku: str
    name: str
    price: Money
    stock: int | None


class ProductRenamed(msgspec.Struct, frozen=True):
    """The product has another name."""

    name: str


class ProductRepriced(msgspec.Struct, frozen=True):
    """The product has another price, for orders from now on."""

    price: Money


class StockAdjusted(msgspec.Struct, frozen=True):
    """Stock came in (+) or was lost (-), apart from orders."""

    quantity: int
    reason: str


class StockReserved(msgspec.Struct, frozen=True):
    """Stock was set aside for an order."""

    order_id: UUID
    quantity: int


class StockReleased(msgspec.Struct, frozen=True):
    """Stock that was set aside for an order is free again."""

    order_id: UUID
    quantity: int


class ProductWithdrawn(msgspec.Struct, frozen=True):
    """The product is no longer sold."""


Event = (
    ProductListed
    | ProductRenamed
    | ProductRepriced
    | StockAdjusted
    | StockReserved
    | StockReleased
    | ProductWithdrawn
)


# What it is now.


class Product(msgspec.Struct, frozen=True):
    """The product as the events left it; `stock` is what can still be ordered."""

    sku: str
    name: str
    price: Money
    stock: int | None
    withdrawn: bool = False


def evolve(product: Product | None, event: Event) -> Product:
    """Fold one more event into the product."""
    match event:
        case ProductListed(sku, name, price, stock):
            return Product(sku, name, price, stock)
    assert product is not None  # noqa: S101 - the log checks versions: a stream begins with its beginning
    change = msgspec.structs.replace
    match event:
        case ProductRenamed(name):
            return change(product, name=name)
        case ProductRepriced(price):
            return change(product, price=price)
        case StockAdjusted(quantity) | StockReleased(_, quantity):
            return change(product, stock=(product.stock or 0) + quantity)
        case StockReserved(_, quantity):
            return change(product, stock=(product.stock or 0) - quantity)
        case ProductWithdrawn():
            return change(product, withdrawn=True)
        case _:
            assert_never(event)


# What may happen next.


class SkuTaken(Refusal):
    """Another product has this stock keeping unit."""

    code = "SKU_TAKEN"
    sentence = "Another product has this SKU."


class OutOfStock(Refusal):
    """There is less in stock than is asked for."""

    code = "OUT_OF_STOCK"
    sentence = "There is not enough in stock."


class ProductNotForSale(InvalidState):
    """The product was withdrawn from sale."""

    sentence = "This product was withdrawn from sale."


class StockNotTracked(InvalidState):
    """The product's stock is not counted, so it cannot be adjusted."""

    sentence = "The stock of this product is not tracked."


def checked_sku(sku: str) -> str:
    """Return the stock keeping unit in the form in which it is unique."""
    return checked_text("sku", sku, longest=64)


def list_for_sale(sku: str, name: str, price: Money, stock: int | None) -> list[Event]:
    """Offer a product."""
    if stock is not None and not 0 <= stock <= LARGEST_STOCK:
        raise Invalid.field("stock", "Stock is null, or from 0 to 10^9.", stock)
    return [
        ProductListed(
            checked_sku(sku),
            checked_text("name", name),
            checked_price("price", price),
            stock,
        )
    ]


def change_details(product: Product, name: str | None, price: Money | None) -> list[Event]:
    """Give the product another name or price; None and what is the same stay as they are."""
    check_for_sale(product)
    events: list[Event] = []
    if name is not None and (clean := checked_text("name", name)) != product.name:
        events.append(ProductRenamed(clean))
    if price is not None and (exact := checked_price("price", price)) != product.price:
        events.append(ProductRepriced(exact))
    return events


def adjust_stock(product: Product, quantity: int, reason: str) -> list[Event]:
    """Count stock in or out; never below what orders have reserved."""
    check_for_sale(product)
    if product.stock is None:
        raise StockNotTracked
    if quantity == 0 or abs(quantity) > LARGEST_STOCK:
        raise Invalid.field("quantity", "A quantity is not 0 and at most 10^9.", quantity)
    if product.stock + quantity > LARGEST_STOCK:
        raise Invalid.field("quantity", "Stock would be more than 10^9.", quantity)
    if product.stock + quantity < 0:
        raise OutOfStock(
            None, Detail("quantity", f"Only {product.stock} can be taken out.", quantity)
        )
    return [StockAdjusted(quantity, checked_text("reason", reason))]


def reserve(product: Product, order_id: UUID, quantity: int, field: str) -> list[Event]:
    """Set stock aside for an order; nothing happens where stock is not tracked."""
    if product.withdrawn:
        raise ProductNotForSale(None, Detail(field, ProductNotForSale.sentence))
    if product.stock is None:
        return []
    if product.stock < quantity:
        message = f"Only {product.stock} of {product.sku} are left."
        raise OutOfStock(message, Detail(field, message, quantity))
    return [StockReserved(order_id, quantity)]


def release(order_id: UUID, quantity: int) -> list[Event]:
    """Give back what was set aside for an order, also for a product that is no longer sold."""
    return [StockReleased(order_id, quantity)]


def withdraw(product: Product) -> list[Event]:
    """Stop selling the product."""
    check_for_sale(product)
    return [ProductWithdrawn()]


def check_for_sale(product: Product) -> None:
    """Refuse if the product was withdrawn."""
    if product.withdrawn:
        raise ProductNotForSale
