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
    place_in,
)
from api.read.access import works_here
from api.read.orders import LIST as ORDER_LIST
from domain import order, user
from domain.refusal import NotFound
from projections import orders, products, users
from projections.listing import Listing
from projections.projection import Row
from projections.reading.batches import Choice, Wanted

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


def notes_of(root: strawberry.Parent[orders.OrderV2View]) -> list[OrderNote] | None:
    """Return an order's notes, None where they are not shown."""
    return None if isinstance(root.notes, UnsetType) else root.notes  # type: ignore[return-value]  # the views have the fields


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
    notes: list[OrderNote] | None = strawberry.field(
        resolver=notes_of, description="For staff only, else null."
    )
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
        """Load the orders of all users of an answer at once."""
        asking, span = info.context, Span(first, after, last, before)
        asked = asked_for(ORDER_LIST, span, status=status)
        wanted = asked.filters.get("status")
        asked.filters["userId"] = self.id  # whoever sees a user sees their orders
        place = place_in(asking, orders.LISTING, asked, span)
        choice = Choice(wanted, span.limit, span.backwards, place is not None)
        part = await asking.orders.load((Wanted(self.id, place), choice))

        async def count() -> int:
            if wanted is None:
                return self.order_summary.count
            return await asking.counts.load((self.id, wanted))

        shown = order_shown(asking)
        return connected(asking, orders.LISTING, asked, part, span, shown, count)


# A row is shown as its view of REST, which has the fields of the type under the same names; what
# a type has besides is loaded by its own methods.


def product_of(row: Row) -> Product:
    """Show a row of the products."""
    return products.product_view(row)  # type: ignore[return-value]  # as said above


def user_of(row: Row) -> User:
    """Show a row of the users."""
    return users.user_v2_view(row)  # type: ignore[return-value]  # as said above


def order_of(row: Row, *, for_staff: bool) -> Order:
    """Show a row of the orders; only staff see the notes."""
    return orders.order_v2_view(row, for_staff=for_staff)  # type: ignore[return-value]  # as said above


def order_shown(asking: Asking) -> Callable[[Row], Order]:
    """Return what shows a row of the orders to whoever asks."""
    return partial(order_of, for_staff=works_here(asking.who))
