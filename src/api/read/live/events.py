"""What clients see of the events as they happen: the fields that changed, as the views name them.

No secret, no e-mail address or name of a person, and notes for staff only.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from msgspec import UNSET
from msgspec import UnsetType as Unset

from api.envelope import ENCODER
from domain import order, product, user
from event_store.event_types import Event, names_of
from event_store.news import News
from projections.amounts import MoneyView, money_view
from projections.orders import (
    ITEM_VIEWS,
    ItemView,
    NoteView,
    PaymentView,
    ReasonView,
    ShipmentView,
)
from projections.products import Status as ProductStatus


class OrderChanges(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """The fields of an order that changed; `note` is new, and for staff only."""

    user_id: UUID | Unset = UNSET
    status: order.Status | Unset = UNSET
    reference: str | Unset = UNSET
    total: MoneyView | Unset = UNSET
    items: list[ItemView] | Unset = UNSET
    placed_at: datetime | Unset = UNSET
    payment: PaymentView | Unset = UNSET
    shipment: ShipmentView | Unset = UNSET
    delivered_at: datetime | Unset = UNSET
    cancellation: ReasonView | Unset = UNSET
    refund: ReasonView | Unset = UNSET
    note: NoteView | Unset = UNSET


class ProductChanges(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """The fields of a product that changed; `stockChange` is added to its stock."""

    sku: str | Unset = UNSET
    name: str | Unset = UNSET
    price: MoneyView | Unset = UNSET
    stock: int | Unset | None = UNSET
    status: ProductStatus | Unset = UNSET
    stock_change: int | Unset = UNSET
    order_id: UUID | Unset = UNSET
    reason: str | Unset = UNSET


class UserChanges(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """The fields of a user that changed, none of them personal: for those, get the user."""

    role: user.Role | Unset = UNSET
    status: user.Status | Unset = UNSET


class Happened(msgspec.Struct, frozen=True, rename="camel", kw_only=True, tag_field="resource"):
    """Something that happened: what (such as order.paid), where in the log, and when."""

    event: str
    id: UUID
    version: int
    position: int
    occurred_at: datetime


class OrderEvent(Happened, frozen=True, kw_only=True, tag="order"):
    """Something that happened to an order."""

    data: OrderChanges


class ProductEvent(Happened, frozen=True, kw_only=True, tag="product"):
    """Something that happened to a product."""

    data: ProductChanges


class UserEvent(Happened, frozen=True, kw_only=True, tag="user"):
    """Something that happened to a user."""

    data: UserChanges


Changes = OrderChanges | ProductChanges | UserChanges
EVENTS: dict[type[Changes], Callable[..., Happened]] = {
    OrderChanges: OrderEvent,
    ProductChanges: ProductEvent,
    UserChanges: UserEvent,
}
Change = Callable[[Any, datetime], Changes]


def placed(event: order.OrderPlaced | order.OrderImported, _at: datetime) -> OrderChanges:
    """Show all of a new order."""
    is_import = isinstance(event, order.OrderImported)
    currency = event.total.currency
    return OrderChanges(
        user_id=event.user_id,
        status="delivered" if is_import else "placed",
        reference=event.reference if isinstance(event, order.OrderImported) else UNSET,
        total=money_view(event.total.amount, currency),
        items=ITEM_VIEWS.of(event.lines, currency),
        placed_at=event.placed_at,
        delivered_at=event.placed_at if is_import else UNSET,
    )


def listed(event: product.ProductListed, _at: datetime) -> ProductChanges:
    """Show all of a new product."""
    return ProductChanges(
        sku=event.sku,
        name=event.name,
        price=money_view(event.price.amount, event.price.currency),
        stock=event.stock,
        status="for_sale",
    )


# What is not here is not shown: sessions, passwords, administrators.
CHANGES: dict[type[Event], Change] = {
    order.OrderPlaced: placed,
    order.OrderImported: placed,
    order.OrderPaid: lambda e, at: OrderChanges(
        status="paid", payment=PaymentView(e.reference, at)
    ),
    order.OrderShipped: lambda e, at: OrderChanges(
        status="shipped", shipment=ShipmentView(e.carrier, e.tracking_number, at)
    ),
    order.OrderDelivered: lambda _, at: OrderChanges(status="delivered", delivered_at=at),
    order.OrderCancelled: lambda e, at: OrderChanges(
        status="cancelled", cancellation=ReasonView(e.reason, at)
    ),
    order.OrderRefunded: lambda e, at: OrderChanges(
        status="refunded", refund=ReasonView(e.reason, at)
    ),
    order.OrderNoteAdded: lambda e, at: OrderChanges(note=NoteView(e.text, at)),
    order.OrderForgotten: lambda _, __: OrderChanges(),
    product.ProductListed: listed,
    product.ProductRenamed: lambda e, _: ProductChanges(name=e.name),
    product.ProductRepriced: lambda e, _: ProductChanges(
        price=money_view(e.price.amount, e.price.currency)
    ),
    product.StockAdjusted: lambda e, _: ProductChanges(stock_change=e.quantity, reason=e.reason),
    product.StockReserved: lambda e, _: ProductChanges(
        stock_change=-e.quantity, order_id=e.order_id
    ),
    product.StockReleased: lambda e, _: ProductChanges(
        stock_change=e.quantity, order_id=e.order_id
    ),
    product.ProductWithdrawn: lambda _, __: ProductChanges(status="withdrawn"),
    user.UserRegistered: lambda e, _: UserChanges(role=e.role, status="active"),
    user.UserImported: lambda _, __: UserChanges(role="customer", status="active"),
    user.UserEmailChanged: lambda _, __: UserChanges(),
    user.UserRenamed: lambda _, __: UserChanges(),
    user.UserRoleChanged: lambda e, _: UserChanges(role=e.role),
    user.UserClosed: lambda _, __: UserChanges(status="closed"),
    user.UserForgotten: lambda _, __: UserChanges(status="forgotten"),
}
NAMES = names_of(CHANGES)
FOR_STAFF = frozenset(names_of([order.OrderNoteAdded]))


def frame(news: News, *, for_staff: bool) -> bytes:
    """Return an event as it is sent; b"" if it is not for this reader.

    Raises `UnknownEvent` or `UnreadableEvent` if this release cannot decode it.
    """
    if news.name in FOR_STAFF and not for_staff:
        return b""
    event = news.event()
    changes = CHANGES[type(event)](event, news.occurred_at)
    shown = EVENTS[type(changes)](
        event=news.name,
        id=news.stream_id,
        version=news.version,
        position=news.position,
        occurred_at=news.occurred_at,
        data=changes,
    )
    return b"event: %b\nid: %d\ndata: %b\n\n" % (
        news.name.encode(),
        news.position,
        ENCODER.encode(shown),
    )
