"""Orders through the log: all items or none, stock that comes back, the way to delivery."""

from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID, uuid4

import msgspec
import pytest

from commands.execution import create_once, execute
from commands.orders.add_order_note import AddOrderNote, add_order_note
from commands.orders.cancel_order import CancelOrder, cancel_order
from commands.orders.deliver_order import DeliverOrder, deliver_order
from commands.orders.import_order import ImportedLine, ImportOrder, import_order
from commands.orders.pay_order import PayOrder, pay_order
from commands.orders.place_order import Item, PlaceOrder, place_order
from commands.orders.refund_order import RefundOrder, refund_order
from commands.orders.ship_order import ShipOrder, ship_order
from commands.products.adjust_stock import AdjustStock, adjust_stock
from commands.products.change_product import ChangeProduct, change_product
from commands.products.withdraw_product import WithdrawProduct, withdraw_product
from commands.users.close_user import CloseUser, close_user
from commands.work import PreconditionFailed
from domain.money import Money
from domain.order import (
    OrderAlreadyCancelled,
    OrderAlreadyPaid,
    OrderAlreadyShipped,
    OrderNoteAdded,
    OrderNotPaid,
    OrderNotShipped,
)
from domain.product import OutOfStock, ProductNotForSale
from domain.refusal import Forbidden, Invalid, NotFound
from domain.user import AccountClosed
from event_store.connections import connect
from projections.posting.engine import catch_up
from projections.posting.pages import Pages
from projections.products import PROJECTION as PRODUCTS
from tests.commands.given import (
    ADMIN,
    STAFF,
    SYSTEM,
    asking,
    if_match,
    listed,
    order_of,
    outcomes,
    paid,
    placed,
    pounds,
    product_of,
    registered,
    shipped,
    working_on,
)
from tests.event_store.asynchronous import on_a_loop

ALICE = asking("customer", UUID("01900000-0000-7000-8000-00000000a11c"))
MALLORY = asking("customer", UUID("01900000-0000-7000-8000-0000006a1109"))


def cancelling(order_id: UUID) -> CancelOrder:
    """Return a request to call an order off."""
    return CancelOrder(order_id=order_id, reason="changed my mind")


def refunding(order_id: UUID) -> RefundOrder:
    """Return a request to give the money back."""
    return RefundOrder(order_id=order_id, reason="broken")


@on_a_loop
async def test_an_order_takes_prices_from_the_catalogue_and_stock_from_the_shelf(
    database_url: str,
) -> None:
    async with working_on(database_url) as tools:
        teapot = await listed(tools, stock=10, price=pounds("4.255"))
        lantern = await listed(tools, "LAMP-1", stock=None, price=pounds("0.99"))
        receipt = await placed(tools, ALICE, (teapot, 3), (lantern, 2))
        # 3 x 4.255 + 2 x 0.99 = 14.745
        assert receipt.answer.total == pounds("14.75")
        assert receipt.version == 1
        order = await order_of(tools, receipt.id)
        assert (order.user_id, order.status, order.total) == (
            ALICE.user_id,
            "placed",
            pounds("14.75"),
        )
        assert [(line.sku, line.quantity, line.amount, line.reserved) for line in order.lines] == [
            ("TEA-1", 3, Decimal("12.765"), True),
            ("LAMP-1", 2, Decimal("1.98"), False),
        ]
        assert (await product_of(tools, teapot)).stock == 7
        assert receipt.position == await tools.store.head() == 4


@on_a_loop
async def test_a_new_price_holds_for_orders_from_then_on(database_url: str) -> None:
    async with working_on(database_url) as tools:
        teapot = await listed(tools)
        before = await placed(tools, ALICE, (teapot, 1))
        change = ChangeProduct(product_id=teapot, price=pounds("5"))
        await execute(tools, STAFF, change_product, change)
        after = await placed(tools, ALICE, (teapot, 1))
        assert (before.answer.total, after.answer.total) == (pounds("4.25"), pounds("5"))
        assert (await order_of(tools, before.id)).total == pounds("4.25")


@on_a_loop
async def test_an_order_is_placed_whole_or_not_at_all(database_url: str) -> None:
    async with working_on(database_url) as tools:
        teapot, lantern = await listed(tools, stock=10), await listed(tools, "LAMP-1", stock=1)
        with pytest.raises(OutOfStock) as refused:
            await placed(tools, ALICE, (teapot, 3), (lantern, 2))
        assert refused.value.details[0].field == "items[1].quantity"
        assert (await product_of(tools, teapot)).stock == 10
        assert await tools.store.head() == 2


@on_a_loop
async def test_the_log_decides_where_a_view_stands_still(database_url: str) -> None:
    shown = "select stock from products_v1"
    async with working_on(database_url) as tools:
        teapot = await listed(tools, stock=1)
        with connect(database_url, name="test") as connection:
            catch_up(connection, PRODUCTS, Pages([PRODUCTS]))
            await placed(tools, ALICE, (teapot, 1))
            assert connection.execute(shown).fetchall() == [(1,)]
            with pytest.raises(OutOfStock):
                await placed(tools, ALICE, (teapot, 1))
            assert connection.execute(shown).fetchall() == [(1,)]
        assert (await product_of(tools, teapot)).stock == 0


@on_a_loop
async def test_what_cannot_be_ordered_is_named(database_url: str) -> None:
    async with working_on(database_url) as tools:
        teapot, lantern = await listed(tools), await listed(tools, "LAMP-1")
        yen = await listed(tools, "FAN-1", price=Money(Decimal(500), "JPY"))
        await execute(tools, STAFF, withdraw_product, WithdrawProduct(product_id=lantern))
        for refusal, field, items in (
            (Invalid, "items", ()),
            (Invalid, "items[0].quantity", ((teapot, 0),)),
            (Invalid, "items[1].productId", ((teapot, 1), (teapot, 1))),
            (Invalid, "items[1].productId", ((teapot, 1), (uuid4(), 1))),
            (Invalid, "items", ((teapot, 1), (yen, 1))),
            (ProductNotForSale, "items[1].quantity", ((teapot, 1), (lantern, 1))),
        ):
            with pytest.raises(refusal) as refused:
                await placed(tools, ALICE, *items)
            assert [detail.field for detail in refused.value.details] == [field]


@on_a_loop
async def test_only_staff_order_for_somebody_else(database_url: str) -> None:
    async with working_on(database_url) as tools:
        teapot, customer = await listed(tools), await registered(tools)
        with pytest.raises(Forbidden):
            await placed(tools, MALLORY, (teapot, 1), user_id=customer)
        with pytest.raises(Invalid):
            await placed(tools, STAFF, (teapot, 1), user_id=uuid4())
        with pytest.raises(Invalid):
            await placed(tools, STAFF, (teapot, 1))
        receipt = await placed(tools, STAFF, (teapot, 1), user_id=customer)
        assert (await order_of(tools, receipt.id)).user_id == customer
        await execute(tools, ADMIN, close_user, CloseUser(user_id=customer))
        with pytest.raises(AccountClosed):
            await placed(tools, STAFF, (teapot, 1), user_id=customer)


@on_a_loop
async def test_twenty_who_order_ten_pieces_get_ten(database_url: str) -> None:
    async with working_on(database_url) as one, working_on(database_url) as other:
        teapot = await listed(one, stock=10)
        got = await outcomes(
            [placed(tools, ALICE, (teapot, 1)) for tools in (one, other) for _ in range(10)]
        )
        assert got == ["OutOfStock"] * 10 + ["Receipt"] * 10
        assert (await product_of(one, teapot)).stock == 0
        # A listing, ten reservations, ten orders.
        assert await one.store.head() == 21


@on_a_loop
async def test_orders_of_the_same_products_in_another_order_do_not_block_each_other(
    database_url: str,
) -> None:
    async with working_on(database_url) as one, working_on(database_url) as other:
        teapot, lantern = await listed(one, stock=10), await listed(one, "LAMP-1", stock=10)
        there = [placed(one, ALICE, (teapot, 1), (lantern, 1)) for _ in range(4)]
        back = [placed(other, ALICE, (lantern, 1), (teapot, 1)) for _ in range(4)]
        assert await outcomes([*there, *back]) == ["Receipt"] * 8
        assert (await product_of(one, teapot)).stock == 2
        assert (await product_of(one, lantern)).stock == 2


@on_a_loop
async def test_an_order_goes_the_way_to_delivery_and_no_step_twice(database_url: str) -> None:
    async with working_on(database_url) as tools:
        teapot = await listed(tools)
        order_id = (await placed(tools, ALICE, (teapot, 2))).id
        pay = PayOrder(order_id=order_id, reference="bank-1", amount=pounds("8.50"))
        ship = ShipOrder(order_id=order_id, carrier="Royal Mail", tracking_number="RM1")
        deliver = DeliverOrder(order_id=order_id)
        with pytest.raises(OrderNotPaid):
            await execute(tools, STAFF, ship_order, ship)
        less = msgspec.structs.replace(pay, amount=pounds("8.49"))
        with pytest.raises(Invalid):
            await execute(tools, STAFF, pay_order, less)
        assert (await execute(tools, STAFF, pay_order, pay)).version == 2
        with pytest.raises(OrderAlreadyPaid):
            await execute(tools, STAFF, pay_order, pay)
        with pytest.raises(OrderNotShipped):
            await execute(tools, STAFF, deliver_order, deliver)
        assert (await execute(tools, STAFF, ship_order, ship)).version == 3
        with pytest.raises(OrderNotPaid):
            await execute(tools, STAFF, ship_order, ship)
        with pytest.raises(OrderAlreadyShipped):
            await execute(tools, ALICE, cancel_order, cancelling(order_id))
        assert (await execute(tools, STAFF, deliver_order, deliver)).version == 4
        with pytest.raises(OrderNotShipped):
            await execute(tools, STAFF, deliver_order, deliver)
        assert (await order_of(tools, order_id)).status == "delivered"
        assert (await product_of(tools, teapot)).stock == 8


@on_a_loop
async def test_an_order_is_paid_once_also_when_two_pay_at_once(database_url: str) -> None:
    async with working_on(database_url) as tools:
        order_id = (await placed(tools, ALICE, (await listed(tools), 2))).id
        pay = PayOrder(order_id=order_id, reference="bank-1", amount=pounds("8.5"))
        got = await outcomes([execute(tools, STAFF, pay_order, pay) for _ in range(5)])
        assert got == ["OrderAlreadyPaid"] * 4 + ["Receipt"]


@on_a_loop
async def test_a_cancelled_order_gives_its_stock_back_once(database_url: str) -> None:
    async with working_on(database_url) as tools:
        teapot, lantern = await listed(tools), await listed(tools, "LAMP-1", stock=None)
        order_id = (await placed(tools, ALICE, (teapot, 4), (lantern, 1))).id
        await execute(tools, STAFF, withdraw_product, WithdrawProduct(product_id=teapot))
        got = await outcomes(
            [execute(tools, ALICE, cancel_order, cancelling(order_id)) for _ in range(3)]
        )
        assert got == ["OrderAlreadyCancelled"] * 2 + ["Receipt"]
        assert (await order_of(tools, order_id)).status == "cancelled"
        assert (await product_of(tools, teapot)).stock == 10
        assert (await product_of(tools, lantern)).stock is None


@on_a_loop
async def test_a_cancelled_order_that_was_paid_is_refunded_without_giving_stock_twice(
    database_url: str,
) -> None:
    async with working_on(database_url) as tools:
        teapot = await listed(tools)
        order_id = (await placed(tools, ALICE, (teapot, 4))).id
        await paid(tools, order_id)
        await execute(tools, ALICE, cancel_order, cancelling(order_id))
        await execute(tools, STAFF, refund_order, refunding(order_id))
        assert (await product_of(tools, teapot)).stock == 10
        with pytest.raises(OrderNotPaid):
            await execute(tools, STAFF, refund_order, refunding(order_id))
        with pytest.raises(OrderAlreadyCancelled):
            await execute(tools, STAFF, cancel_order, cancelling(order_id))


@on_a_loop
async def test_only_a_paid_order_is_refunded_and_stock_comes_back_if_it_has_not_left(
    database_url: str,
) -> None:
    async with working_on(database_url) as tools:
        teapot = await listed(tools)
        here = (await placed(tools, ALICE, (teapot, 1))).id
        with pytest.raises(OrderNotPaid):
            await execute(tools, STAFF, refund_order, refunding(here))
        gone = (await placed(tools, ALICE, (teapot, 2))).id
        for order_id in (here, gone):
            await paid(tools, order_id)
        await shipped(tools, gone)
        for order_id in (here, gone):
            await execute(tools, STAFF, refund_order, refunding(order_id))
            assert (await order_of(tools, order_id)).status == "refunded"
        assert (await product_of(tools, teapot)).stock == 8
        with pytest.raises(OrderNotPaid):
            await shipped(tools, here)


@on_a_loop
async def test_an_order_is_shipped_or_cancelled_never_both(database_url: str) -> None:
    async with working_on(database_url) as one, working_on(database_url) as other:
        teapot = await listed(one, stock=100)
        for _ in range(5):
            order_id = (await placed(one, ALICE, (teapot, 1))).id
            await paid(one, order_id)
            got = await outcomes(
                [
                    shipped(one, order_id),
                    execute(other, ALICE, cancel_order, cancelling(order_id)),
                ]
            )
            assert got in (["NoneType", "OrderAlreadyShipped"], ["OrderNotPaid", "Receipt"])


@on_a_loop
async def test_somebody_elses_order_does_not_exist(database_url: str) -> None:
    async with working_on(database_url) as tools:
        teapot = await listed(tools)
        order_id = (await placed(tools, ALICE, (teapot, 1))).id
        for there in (order_id, uuid4()):
            with pytest.raises(NotFound):
                await execute(tools, MALLORY, cancel_order, cancelling(there))
            with pytest.raises(NotFound):
                await execute(tools, MALLORY, refund_order, refunding(there))
        # An auditor sees everything and changes nothing.
        with pytest.raises(NotFound):
            await execute(tools, asking("auditor", uuid4()), cancel_order, cancelling(order_id))
        await execute(tools, SYSTEM, cancel_order, cancelling(order_id))


@on_a_loop
async def test_an_order_that_is_not_there_is_not_found(database_url: str) -> None:
    async with working_on(database_url) as tools:
        nowhere = uuid4()
        pay = PayOrder(order_id=nowhere, reference="bank-1", amount=pounds("1"))
        ship = ShipOrder(order_id=nowhere, carrier="Royal Mail", tracking_number="RM1")
        with pytest.raises(NotFound):
            await execute(tools, STAFF, pay_order, pay)
        with pytest.raises(NotFound):
            await execute(tools, STAFF, ship_order, ship)
        with pytest.raises(NotFound):
            await execute(tools, STAFF, deliver_order, DeliverOrder(order_id=nowhere))
        with pytest.raises(NotFound):
            await execute(tools, STAFF, add_order_note, AddOrderNote(order_id=nowhere, text="hi"))


@on_a_loop
async def test_a_note_is_kept_with_the_order(database_url: str) -> None:
    async with working_on(database_url) as tools:
        order_id = (await placed(tools, ALICE, (await listed(tools), 1))).id
        request = AddOrderNote(order_id=order_id, text=" at the door ")
        assert (await execute(tools, STAFF, add_order_note, request)).version == 2
        assert (await tools.store.load(order_id))[-1] == OrderNoteAdded("at the door")
        with pytest.raises(Invalid):
            await execute(tools, STAFF, add_order_note, AddOrderNote(order_id=order_id, text=" "))


@on_a_loop
async def test_if_match_is_about_the_order_and_not_about_its_products(database_url: str) -> None:
    async with working_on(database_url) as tools:
        teapot = await listed(tools)
        order_id = (await placed(tools, ALICE, (teapot, 1))).id
        with pytest.raises(PreconditionFailed):
            await execute(tools, if_match(ALICE, 2), cancel_order, cancelling(order_id))
        adjusting = AdjustStock(product_id=teapot, quantity=1, reason="found")
        got = await outcomes(
            [
                *(execute(tools, STAFF, adjust_stock, adjusting) for _ in range(3)),
                execute(tools, if_match(ALICE, 1), cancel_order, cancelling(order_id)),
            ]
        )
        assert got == ["Receipt"] * 4
        assert (await product_of(tools, teapot)).stock == 13


@on_a_loop
async def test_an_order_is_imported_once_as_it_was_then(database_url: str) -> None:
    when = datetime(2010, 12, 1, 8, 26, tzinfo=UTC)
    asker = msgspec.structs.replace(SYSTEM, occurred_at=when)
    async with working_on(database_url) as tools:
        teapot = await listed(tools)
        line = ImportedLine(teapot, "85123A", "Lantern", 6, Decimal("2.555"))
        request = ImportOrder(
            order_id=uuid4(), reference="536365", user_id=uuid4(), currency="GBP", lines=[line]
        )
        assert await create_once(tools, asker, import_order, request)
        assert await create_once(tools, asker, import_order, request) is None
        order = await order_of(tools, request.order_id)
        assert (order.status, order.placed_at, order.total) == ("delivered", when, pounds("15.33"))
        assert (await product_of(tools, teapot)).stock == 10
        with pytest.raises(OrderAlreadyShipped):
            await execute(tools, STAFF, cancel_order, cancelling(request.order_id))
        await execute(tools, STAFF, refund_order, refunding(request.order_id))
        assert (await product_of(tools, teapot)).stock == 10


@on_a_loop
async def test_a_large_order_is_placed_in_one_append(database_url: str) -> None:
    async with working_on(database_url) as tools:
        products = [await listed(tools, f"SKU-{number}") for number in range(100)]
        items = [Item(product_id, 1) for product_id in products]
        receipt = await execute(tools, ALICE, place_order, PlaceOrder(items=items))
        assert receipt.answer.total == pounds("425.00")
        assert receipt.position == 201
