"""Where the commands' tests begin: tools on a database, people who ask, things to order."""

import asyncio
from collections.abc import AsyncIterator, Collection, Coroutine, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec

from commands.aggregates import ORDER, PRODUCT, USER
from commands.execution import execute
from commands.orders.pay_order import PayOrder, pay_order
from commands.orders.place_order import Item, Placed, PlaceOrder, place_order
from commands.orders.ship_order import ShipOrder, ship_order
from commands.passwords import Passwords
from commands.products.list_product import ListProduct, list_product
from commands.receipts import Receipt
from commands.sessions.log_in import LogIn, SignedIn, log_in
from commands.users.change_role import ChangeRole, change_role
from commands.users.register_user import (
    CreateAdministrator,
    RegisterUser,
    create_administrator,
    register_user,
)
from commands.work import Asker, Tools
from domain.money import Money
from domain.order import Order
from domain.product import Product
from domain.user import Role, User
from event_store.store import EventStore
from tests.event_store.given import keyring

PASSWORD = "correct horse"


def asking(role: str, user_id: UUID | None = None, session_id: UUID | None = None) -> Asker:
    """Return somebody who asks."""
    return Asker(
        actor_id=str(user_id or role),
        role=role,
        request_id="request-1",
        correlation_id="correlation-1",
        user_id=user_id,
        session_id=session_id,
    )


ANYONE, STAFF, ADMIN, SYSTEM = map(asking, ("anonymous", "staff", "admin", "system"))


@asynccontextmanager
async def working_on(database_url: str, projections: Collection[str] = ()) -> AsyncIterator[Tools]:
    """Run what commands work with for the length of a block."""
    store = EventStore(database_url, keys=keyring(), on_append=lambda _: None)
    passwords = Passwords()
    await store.open()
    try:
        yield Tools(store, passwords, projections=projections)
    finally:
        await store.close()
        passwords.close()


def if_match(asker: Asker, version: int) -> Asker:
    """Return the asker, who insists on a version."""
    return msgspec.structs.replace(asker, if_match=version)


def pounds(amount: str) -> Money:
    """Return an amount in pounds sterling."""
    return Money(Decimal(amount), "GBP")


async def registered(tools: Tools, email: str = "alice@example.com") -> UUID:
    """Open a customer's account and return its id."""
    request = RegisterUser(email=email, password=PASSWORD, name="Alice")
    return (await execute(tools, ANYONE, register_user, request)).id


async def administrator(tools: Tools, email: str = "root@example.com") -> UUID:
    """Open an administrator's account and return its id."""
    request = CreateAdministrator(email=email, password=PASSWORD, name="Root")
    return (await execute(tools, SYSTEM, create_administrator, request)).id


async def signed_in(
    tools: Tools, email: str = "alice@example.com", password: str = PASSWORD
) -> SignedIn:
    """Sign in and return what came of it."""
    return (await execute(tools, ANYONE, log_in, LogIn(email=email, password=password))).answer


async def role_given(tools: Tools, user_id: UUID, role: Role) -> None:
    """Have an administrator change a role."""
    await execute(tools, ADMIN, change_role, ChangeRole(user_id=user_id, role=role))


async def listed(
    tools: Tools, sku: str = "TEA-1", *, stock: int | None = 10, price: Money | None = None
) -> UUID:
    """Offer a product and return its id."""
    request = ListProduct(sku=sku, name="Teapot", price=price or pounds("4.25"), stock=stock)
    return (await execute(tools, STAFF, list_product, request)).id


async def placed(
    tools: Tools, asker: Asker, *items: tuple[UUID, int], user_id: UUID | None = None
) -> Receipt[Placed]:
    """Order some products."""
    wanted = [Item(product_id, quantity) for product_id, quantity in items]
    return await execute(tools, asker, place_order, PlaceOrder(items=wanted, user_id=user_id))


async def paid(tools: Tools, order_id: UUID) -> None:
    """Pay the total of an order."""
    total = (await order_of(tools, order_id)).total
    request = PayOrder(order_id=order_id, reference="bank-1", amount=total)
    await execute(tools, STAFF, pay_order, request)


async def shipped(tools: Tools, order_id: UUID) -> None:
    """Ship a paid order."""
    request = ShipOrder(order_id=order_id, carrier="Royal Mail", tracking_number="RM1")
    await execute(tools, STAFF, ship_order, request)


async def order_of(tools: Tools, order_id: UUID) -> Order:
    """Return an order as the log has it."""
    order = ORDER.fold(await tools.store.load(order_id))
    assert order is not None
    return order


async def product_of(tools: Tools, product_id: UUID) -> Product:
    """Return a product as the log has it."""
    product = PRODUCT.fold(await tools.store.load(product_id))
    assert product is not None
    return product


async def user_of(tools: Tools, user_id: UUID) -> User:
    """Return an account as the log has it."""
    user = USER.fold(await tools.store.load(user_id))
    assert user is not None
    return user


async def outcomes(asked: Sequence[Coroutine[Any, Any, Any]]) -> list[str]:
    """Let several people ask at once; return the sorted names of what they got."""
    answers = await asyncio.gather(*asked, return_exceptions=True)
    return sorted(type(answer).__name__ for answer in answers)
