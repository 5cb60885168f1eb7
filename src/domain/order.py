"""An order: what a user bought, at which prices, and how far it has come."""

from datetime import datetime
from decimal import Decimal
from typing import Literal, assert_never
from uuid import UUID

import msgspec

from domain.money import Money, plain, round_half_up
from domain.personal import Personal
from domain.plain_text import checked_text
from domain.refusal import Invalid, InvalidState

Status = Literal["placed", "paid", "shipped", "delivered", "cancelled", "refunded"]

MOST_LINES = 2_000
LARGEST_QUANTITY = 1_000_000


class Line(msgspec.Struct, frozen=True):
    """One product of an order. `amount` is quantity x unit price, exact, in its currency."""

    product_id: UUID
    sku: str
    name: str
    quantity: int
    unit_price: Decimal
    amount: Decimal
    reserved: bool = False


class Sale(msgspec.Struct, frozen=True):
    """What the sales books hold of an order, so that undoing it needs nothing else."""

    user_id: UUID
    placed_at: datetime
    total: Money
    lines: tuple[Line, ...]


# What happened. These names and fields are kept for ever: change an event by giving it a version.


class OrderPlaced(msgspec.Struct, frozen=True):
    """A user ordered. The total is the lines' sum rounded half up to the minor unit."""

    user_id: UUID
    placed_at: datetime
    lines: tuple[Line, ...]
    total: Money


class OrderImported(msgspec.Struct, frozen=True):
    """An order that was fulfilled in another system, under its invoice number there."""

    reference: str
    user_id: UUID
    placed_at: datetime
    lines: tuple[Line, ...]
    total: Money


class OrderPaid(msgspec.Struct, frozen=True):
    """The total was paid."""

    reference: str
    amount: Money


class OrderShipped(msgspec.Struct, frozen=True):
    """The goods left."""

    carrier: str
    tracking_number: Personal


class OrderDelivered(msgspec.Struct, frozen=True):
    """The goods arrived."""


class OrderCancelled(msgspec.Struct, frozen=True):
    """The order will not be fulfilled; `sale` leaves the sales books."""

    reason: Personal
    sale: Sale


class OrderRefunded(msgspec.Struct, frozen=True):
    """The money went back; `sale` leaves the sales books unless a cancellation took it out."""

    reason: Personal
    amount: Money
    sale: Sale | None


class OrderNoteAdded(msgspec.Struct, frozen=True):
    """Staff wrote a note."""

    text: Personal


class OrderForgotten(msgspec.Struct, frozen=True):
    """The buyer is forgotten, and with them what was written here of a person."""


Event = (
    OrderPlaced
    | OrderImported
    | OrderPaid
    | OrderShipped
    | OrderDelivered
    | OrderCancelled
    | OrderRefunded
    | OrderNoteAdded
    | OrderForgotten
)


# What it is now.


class Order(msgspec.Struct, frozen=True):
    """The order as the events left it."""

    user_id: UUID
    placed_at: datetime
    lines: tuple[Line, ...]
    total: Money
    status: Status
    paid: bool = False
    shipped: bool = False
    forgotten: bool = False


def evolve(order: Order | None, event: Event) -> Order:  # noqa: PLR0911 - one answer for each event
    """Fold one more event into the order."""
    match event:
        case OrderPlaced(user_id, placed_at, lines, total):
            return Order(user_id, placed_at, lines, total, "placed")
        case OrderImported(_, user_id, placed_at, lines, total):
            return Order(user_id, placed_at, lines, total, "delivered", paid=True, shipped=True)
    assert order is not None  # noqa: S101 - the log checks versions: a stream begins with its beginning
    change = msgspec.structs.replace
    match event:
        case OrderPaid():
            return change(order, status="paid", paid=True)
        case OrderShipped():
            return change(order, status="shipped", shipped=True)
        case OrderDelivered():
            return change(order, status="delivered")
        case OrderCancelled():
            return change(order, status="cancelled")
        case OrderRefunded():
            return change(order, status="refunded")
        case OrderNoteAdded():
            return order
        case OrderForgotten():
            return change(order, forgotten=True)
        case _:
            assert_never(event)


def subject_of(_: UUID, order: Order) -> UUID:
    """Return whom an order's personal fields are about: the buyer."""
    return order.user_id


# What may happen next.


class OrderAlreadyPaid(InvalidState):
    """Only an order that waits for payment can be paid."""

    sentence = "Only an order that waits for payment can be paid."


class OrderNotPaid(InvalidState):
    """It has not been paid, or the money went back already."""

    sentence = "Only a paid order can be shipped or refunded."


class OrderNotShipped(InvalidState):
    """It is not on its way."""

    sentence = "Only a shipped order can be delivered."


class OrderAlreadyShipped(InvalidState):
    """The goods have left."""

    sentence = "A shipped order can no longer be cancelled."


class OrderAlreadyCancelled(InvalidState):
    """It was cancelled or refunded before."""

    sentence = "This order was cancelled or refunded already."


def line_of(  # noqa: PLR0913 - a line is these six facts
    product_id: UUID, sku: str, name: str, quantity: int, price: Money, *, reserved: bool
) -> Line:
    """Make a line; its amount is exact."""
    amount = plain(price.amount * quantity, price.currency)
    return Line(product_id, sku, name, quantity, price.amount, amount, reserved)


def check_items(quantities: list[tuple[UUID, int]]) -> None:
    """Refuse an order of nothing, of too much, or that names a product twice."""
    if not 1 <= len(quantities) <= MOST_LINES:
        raise Invalid.field("items", f"An order has 1 to {MOST_LINES} items.")
    seen: set[UUID] = set()
    for number, (product_id, quantity) in enumerate(quantities):
        if not 1 <= quantity <= LARGEST_QUANTITY:
            message = f"A quantity is from 1 to {LARGEST_QUANTITY}."
            raise Invalid.field(f"items[{number}].quantity", message, quantity)
        if product_id in seen:
            message = "This product is in the order already: add up the quantities."
            raise Invalid.field(f"items[{number}].productId", message, str(product_id))
        seen.add(product_id)


def total_of(lines: tuple[Line, ...], currency: str) -> Money:
    """Add up the lines, exactly, and round once."""
    exact = sum((line.amount for line in lines), Decimal())
    return Money(round_half_up(exact, currency), currency)


def place(
    user_id: UUID, placed_at: datetime, lines: tuple[Line, ...], currency: str
) -> list[Event]:
    """Order the lines, all of them in one currency."""
    return [OrderPlaced(user_id, placed_at, lines, total_of(lines, currency))]


def import_fulfilled(
    reference: str, user_id: UUID, placed_at: datetime, lines: tuple[Line, ...], currency: str
) -> list[Event]:
    """Take over an order that was placed, paid and delivered elsewhere."""
    return [OrderImported(reference, user_id, placed_at, lines, total_of(lines, currency))]


def pay(order: Order, reference: str, amount: Money) -> list[Event]:
    """Record the payment of exactly the total."""
    if order.status != "placed":
        raise OrderAlreadyPaid
    if amount != order.total:
        message = f"The amount must equal the total, {order.total.amount} {order.total.currency}."
        raise Invalid.field("amount", message)
    return [OrderPaid(checked_text("reference", reference), order.total)]


def ship(order: Order, carrier: str, tracking_number: str) -> list[Event]:
    """Hand the goods to a carrier."""
    if order.status != "paid":
        raise OrderNotPaid
    number = checked_text("trackingNumber", tracking_number, longest=100)
    return [OrderShipped(checked_text("carrier", carrier, longest=100), number)]


def deliver(order: Order) -> list[Event]:
    """Record that the goods arrived."""
    if order.status != "shipped":
        raise OrderNotShipped
    return [OrderDelivered()]


def cancel(order: Order, reason: str) -> list[Event]:
    """Call the order off before it is shipped; a paid one can be refunded afterwards."""
    if order.status in {"cancelled", "refunded"}:
        raise OrderAlreadyCancelled
    if order.shipped:
        raise OrderAlreadyShipped
    return [OrderCancelled(checked_text("reason", reason, longest=500), sale_of(order))]


def refund(order: Order, reason: str) -> list[Event]:
    """Give the money back, whatever became of the goods."""
    if not order.paid or order.status == "refunded":
        raise OrderNotPaid
    sale = None if order.status == "cancelled" else sale_of(order)
    return [OrderRefunded(checked_text("reason", reason, longest=500), order.total, sale)]


def add_note(text: str) -> list[Event]:
    """Write a note."""
    return [OrderNoteAdded(checked_text("text", text, longest=2_000, lines=True))]


def forget(order: Order) -> list[Event]:
    """Forget what was written of the buyer. Once is enough: from then on nothing is kept."""
    return [] if order.forgotten else [OrderForgotten()]


def sale_of(order: Order) -> Sale:
    """Tell what the sales books hold of the order."""
    return Sale(order.user_id, order.placed_at, order.total, order.lines)


def holds_stock(order: Order) -> bool:
    """Tell whether stock is set aside for goods that have not left."""
    return order.status in {"placed", "paid"}
