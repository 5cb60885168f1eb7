"""Who may see what, decided here alone: for both versions of REST and for GraphQL."""

from collections.abc import MutableMapping
from typing import Any
from uuid import UUID

from api.guards import STAFF, check
from api.request_context import Caller
from domain.refusal import Forbidden, NotFound
from projections import orders, products, users
from projections.projection import Row
from projections.reading.views import Views

Filters = MutableMapping[str, Any]
Seen = tuple[Row, int]


class NotSeen(NotFound):
    """It does not exist, or is not the caller's to know of, as far as the view has come."""

    def __init__(self, position: int) -> None:
        """`position` is how far that is."""
        super().__init__()
        self.position = position


def works_here(caller: Caller | None) -> bool:
    """Tell whether somebody asks who works here."""
    return caller is not None and caller.is_staff


async def visible_user(views: Views, caller: Caller, user_id: UUID) -> Seen:
    """Return one's own account, or any to those who work here, and the position; `NotFound`."""
    if user_id != caller.user_id and not caller.is_staff:
        raise NotFound
    row, position = await views.one(users.PROJECTION, users.USERS, (user_id,))
    if row is None:
        raise NotSeen(position)
    return row, position


async def visible_order(views: Views, caller: Caller, order_id: UUID) -> Seen:
    """Return one's own order, or any to those who work here, and the position; `NotFound`."""
    row, position = await views.one(orders.PROJECTION, orders.ORDERS, (order_id,))
    if row is None or (row["user_id"] != caller.user_id and not caller.is_staff):
        raise NotSeen(position)
    return row, position


async def visible_product(views: Views, caller: Caller | None, product_id: UUID) -> Seen:
    """Return a product and the position; what was withdrawn is there for staff; `NotFound`."""
    row, position = await views.one(products.PROJECTION, products.PRODUCTS, (product_id,))
    if row is None or (row["status"] == "withdrawn" and not works_here(caller)):
        raise NotSeen(position)
    return row, position


def limit_orders(caller: Caller, filters: Filters) -> None:
    """Let a list of orders hold one's own, or all for staff; `Forbidden` if others' are wanted."""
    if not caller.is_staff and filters.setdefault("userId", caller.user_id) != caller.user_id:
        raise Forbidden


async def limit_orders_to(views: Views, caller: Caller, user_id: UUID, filters: Filters) -> None:
    """Let a list of orders hold those of one user, whom the caller may see; `NotFound`."""
    if user_id != caller.user_id:
        await visible_user(views, caller, user_id)
    filters["userId"] = user_id


def limit_products(caller: Caller | None, filters: Filters) -> None:
    """Let a list hold what is for sale; only staff may ask for anything else."""
    if "status" in filters:
        check(STAFF, caller)
    if not works_here(caller):
        filters["status"] = "for_sale"
