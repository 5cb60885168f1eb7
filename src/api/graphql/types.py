"""What can be asked for in GraphQL: users, orders, products, and how they hang together."""

from collections.abc import Callable, Sequence
from datetime import datetime
from enum import Enum
from functools import partial
from typing import TypeAlias, get_args
from uuid import UUID

import strawberry
from msgspec import UnsetType

from api.graphql.asking import Asking
from api.graphql.connections import (
    Connection,
    Span,
    asked_for,
    connected,
    connection,
    counted,
)
from api.read.access import works_here
from api.read.orders import FILTERS as ORDER_FILTERS
from domain import order, user
from domain.refusal import NotFound
from projections import orders, products, users
from projections.amounts import MoneyView
from projections.listing import Listing, Part
from projections.projection import Row

Info: TypeAlias = strawberry.Info[Asking, None]


def enum_of(name: str, words: object, description: str) -> type[Enum]:
    """Return a GraphQL enumeration of the words that REST uses."""
    made = Enum(name, {word: word for word in get_args(words)})  # type: ignore[misc]  # the words are data
    return strawberry.enum(made, description=description)


def sort_of(name: str, words: Listing | Sequence[str]) -> type[Enum]:
    """Return a GraphQL enumeration of what a list may be sorted by."""
    given = words.sorts if isinstance(words, Listing) else words
    made = Enum(name, {word: word for word in given})  # type: ignore[misc]  # the words are data
    return strawberry.enum(made)


Role = enum_of("Role", user.Role, "What an account may do.")
UserStatus = enum_of("UserStatus", user.Status, "Whether an account is in use.")
OrderStatus = enum_of("OrderStatus", order.Status, "How far an order has come.")
ProductStatus = enum_of("ProductStatus", products.Status, "Whether a product is for sale.")


@strawberry.type(description="An exact amount in one currency (ISO 4217).")
class Money:
    """Digits, never a float."""

    amount: str
    currency: str


@strawberry.type(description="The order that was placed last.")
class LastOrder:
    """A user's last order in short."""

    id: UUID
    placed_at: datetime
    total: Money


@strawberry.type(description="A user's orders in short.")
class OrderSummary:
    """What version 2 of REST shows of a user's orders."""

    count: int
    total_spent: list[Money] = strawberry.field(
        description="By currency, without orders cancelled or refunded since."
    )
    last_order: LastOrder | None


@strawberry.type(description="A product as anyone sees it.")
class Product:
    """A product of the catalogue."""

    id: UUID
    sku: str
    name: str
    price: Money
    stock: int | None = strawberry.field(description="Null: not tracked.")
    status: ProductStatus  # type: ignore[valid-type]  # made of the domain's words
    created_at: datetime
    updated_at: datetime
    version: int


@strawberry.type(description="A line of an order; the amount is exact.")
class OrderItem:
    """What was bought of one product."""

    product_id: UUID
    sku: str
    name: str = strawberry.field(description="The product's name when it was ordered.")
    quantity: int
    unit_price: Money
    amount: Money

    @strawberry.field(description="The product as it is now; null if it is not for sale any more.")
    async def product(self, info: Info) -> Product | None:
        """Load the products of all lines of an answer at once."""
        row = await info.context.products.load(self.product_id)
        withdrawn = row is not None and row["status"] == "withdrawn"
        if row is None or (withdrawn and not works_here(info.context.who)):
            return None
        return product_of(row)


@strawberry.type(description="When an order came to a state.")
class OrderEvent:
    """A step of an order's history."""

    status: OrderStatus  # type: ignore[valid-type]  # made of the domain's words
    at: datetime


@strawberry.type(description="What staff wrote about an order.")
class OrderNote:
    """A note."""

    text: str
    at: datetime


@strawberry.type(description="How an order was paid.")
class Payment:
    """A payment."""

    reference: str
    at: datetime


@strawberry.type(description="How an order was shipped.")
class Shipment:
    """A shipment."""

    carrier: str
    tracking_number: str
    at: datetime


@strawberry.type(description="Why and when an order was undone.")
class Reason:
    """A reason."""

    reason: str
    at: datetime


@strawberry.type(description="An order.")
class Order:
    """What was bought by whom, and how far it has come."""

    id: UUID
    user_id: UUID
    status: OrderStatus  # type: ignore[valid-type]  # made of the domain's words
    reference: str | None = strawberry.field(description="The invoice, if imported.")
    total: Money
    items: list[OrderItem]
    placed_at: datetime
    updated_at: datetime
    payment: Payment | None
    shipment: Shipment | None
    delivered_at: datetime | None
    cancellation: Reason | None
    refund: Reason | None
    notes: list[OrderNote] | None = strawberry.field(description="For staff only, else null.")
    history: list[OrderEvent]
    version: int

    @strawberry.field(description="Who ordered.")
    async def user(self, info: Info) -> "User":
        """Load the users of all orders of an answer at once."""
        row = await info.context.users.load(self.user_id)
        if row is None:
            raise NotFound  # the view of users has not come so far
        return user_of(row)


@strawberry.type(description="A user as staff and the user see it.")
class User:
    """An account."""

    id: UUID
    email: str
    name: str
    role: Role  # type: ignore[valid-type]  # made of the domain's words
    status: UserStatus  # type: ignore[valid-type]  # made of the domain's words
    created_at: datetime
    updated_at: datetime
    version: int
    order_summary: OrderSummary

    @strawberry.field(description="The user's orders, newest first.")
    async def orders(  # noqa: PLR0913, PLR0917 - the arguments of a connection
        self,
        info: Info,
        first: int | None = None,
        after: str | None = None,
        last: int | None = None,
        before: str | None = None,
        status: OrderStatus | None = None,  # type: ignore[valid-type]  # made of the domain's words
    ) -> Connection[Order]:
        """Load the newest orders of all users of an answer at once; by cursor those of one."""
        asking, span = info.context, Span(first, after, last, before)
        asked = asked_for(orders.LISTING, ORDER_FILTERS, {"status": status}, span.limit)
        asked.filters["userId"] = self.id  # whoever sees a user sees their orders
        if span.backwards or span.cursor is not None:
            return await connection(asking, orders.LISTING, asked, span, order_shown(asking))
        wanted = asked.filters.get("status")
        rows = await asking.newest_orders.load((self.id, wanted, span.limit + 1))
        part = Part(rows[: span.limit], len(rows) > span.limit, 0)

        async def count() -> int:
            if wanted is None:
                return self.order_summary.count
            return await counted(asking, orders.LISTING, asked)

        shown = order_shown(asking)
        return connected(asking, orders.LISTING, asked, part, span, shown, count)


def money(shown: MoneyView) -> Money:
    """Show an amount."""
    return Money(amount=shown.amount, currency=shown.currency)


def product_of(row: Row) -> Product:
    """Show a row of the products as REST does."""
    view = products.product_view(row)
    return Product(
        id=view.id,
        sku=view.sku,
        name=view.name,
        price=money(view.price),
        stock=view.stock,
        status=ProductStatus(view.status),
        created_at=view.created_at,
        updated_at=view.updated_at,
        version=view.version,
    )


def user_of(row: Row) -> User:
    """Show a row of the users as REST does."""
    view = users.user_v2_view(row)
    summary = view.order_summary
    last = summary.last_order
    return User(
        id=view.id,
        email=view.email,
        name=view.name,
        role=Role(view.role),
        status=UserStatus(view.status),
        created_at=view.created_at,
        updated_at=view.updated_at,
        version=view.version,
        order_summary=OrderSummary(
            count=summary.count,
            total_spent=[money(one) for one in summary.total_spent],
            last_order=LastOrder(id=last.id, placed_at=last.placed_at, total=money(last.total))
            if last
            else None,
        ),
    )


def order_shown(asking: Asking) -> Callable[[Row], Order]:
    """Return what shows a row of the orders to whoever asks."""
    return partial(order_of, for_staff=works_here(asking.who))


def order_of(row: Row, *, for_staff: bool) -> Order:
    """Show a row of the orders as REST does; only staff see the notes."""
    view = orders.order_v2_view(row, for_staff=for_staff)
    paid, shipped = view.payment, view.shipment
    notes = None if isinstance(view.notes, UnsetType) else view.notes
    return Order(
        id=view.id,
        user_id=view.user_id,
        status=OrderStatus(view.status),
        reference=view.reference,
        total=money(view.total),
        items=[item_of(one) for one in view.items],
        placed_at=view.placed_at,
        updated_at=view.updated_at,
        payment=Payment(reference=paid.reference, at=paid.at) if paid else None,
        shipment=Shipment(
            carrier=shipped.carrier, tracking_number=shipped.tracking_number, at=shipped.at
        )
        if shipped
        else None,
        delivered_at=view.delivered_at,
        cancellation=reason_of(view.cancellation),
        refund=reason_of(view.refund),
        notes=notes if notes is None else [OrderNote(text=one.text, at=one.at) for one in notes],
        history=[OrderEvent(status=OrderStatus(one.status), at=one.at) for one in view.history],
        version=view.version,
    )


def item_of(view: orders.ItemView) -> OrderItem:
    """Show a line of an order."""
    return OrderItem(
        product_id=view.product_id,
        sku=view.sku,
        name=view.name,
        quantity=view.quantity,
        unit_price=money(view.unit_price),
        amount=money(view.amount),
    )


def reason_of(view: orders.ReasonView | None) -> Reason | None:
    """Show why an order was undone, if it was."""
    return Reason(reason=view.reason, at=view.at) if view else None
