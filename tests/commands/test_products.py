"""Products through the log: listed, changed, counted, withdrawn, imported."""

from uuid import uuid4

import pytest

from commands.execution import create_once, execute
from commands.products.adjust_stock import AdjustStock, adjust_stock
from commands.products.change_product import ChangeProduct, change_product
from commands.products.import_product import ImportProduct, import_product
from commands.products.list_product import ListProduct, list_product
from commands.products.withdraw_product import WithdrawProduct, withdraw_product
from domain.product import OutOfStock, Product, ProductNotForSale, SkuTaken, StockNotTracked
from domain.refusal import Invalid, NotFound
from tests.commands.given import (
    STAFF,
    SYSTEM,
    listed,
    outcomes,
    pounds,
    product_of,
    working_on,
)
from tests.event_store.asynchronous import on_a_loop


def listing(sku: str) -> ListProduct:
    """Return a request to list a teapot."""
    return ListProduct(sku=sku, name="Teapot", price=pounds("4.25"), stock=1)


@on_a_loop
async def test_a_product_is_listed_and_changed(database_url: str) -> None:
    async with working_on(database_url) as tools:
        product_id = await listed(tools, " TEA-1 ")
        request = ChangeProduct(product_id=product_id, name="Pot", price=pounds("5"))
        assert (await execute(tools, STAFF, change_product, request)).version == 3
        assert await product_of(tools, product_id) == Product("TEA-1", "Pot", pounds("5.00"), 10)


@pytest.mark.parametrize("spelling", ["TEA-1", " TEA-1", "TEA-1\u00a0"])
@on_a_loop
async def test_a_sku_belongs_to_one_product(database_url: str, spelling: str) -> None:
    async with working_on(database_url) as tools:
        await listed(tools, "TEA-1")
        with pytest.raises(SkuTaken):
            await execute(tools, STAFF, list_product, listing(spelling))
        assert await tools.store.head() == 1


@on_a_loop
async def test_a_sku_in_another_composition_is_the_same_sku(database_url: str) -> None:
    async with working_on(database_url) as tools:
        await listed(tools, "CAF\u00c9")
        with pytest.raises(SkuTaken):
            await execute(tools, STAFF, list_product, listing("CAFE\u0301"))


@on_a_loop
async def test_of_products_listed_at_once_under_one_sku_one_gets_it(database_url: str) -> None:
    async with working_on(database_url) as tools:
        got = await outcomes(
            [execute(tools, STAFF, list_product, listing("TEA-1")) for _ in range(6)]
        )
        assert got == ["Receipt"] + ["SkuTaken"] * 5


@on_a_loop
async def test_a_listing_that_is_not_valid_takes_no_sku(database_url: str) -> None:
    async with working_on(database_url) as tools:
        request = ListProduct(sku="TEA-1", name="", price=pounds("4.25"), stock=1)
        with pytest.raises(Invalid):
            await execute(tools, STAFF, list_product, request)
        await listed(tools, "TEA-1")


@on_a_loop
async def test_stock_is_counted_but_not_below_zero(database_url: str) -> None:
    async with working_on(database_url) as tools:
        product_id = await listed(tools, stock=3)
        lost = AdjustStock(product_id=product_id, quantity=-4, reason="broken")
        with pytest.raises(OutOfStock):
            await execute(tools, STAFF, adjust_stock, lost)
        lost = AdjustStock(product_id=product_id, quantity=-3, reason="broken")
        assert (await execute(tools, STAFF, adjust_stock, lost)).answer.stock == 0


@on_a_loop
async def test_of_those_who_take_the_last_piece_one_gets_it(database_url: str) -> None:
    async with working_on(database_url) as tools:
        product_id = await listed(tools, stock=1)
        taking = AdjustStock(product_id=product_id, quantity=-1, reason="lost")
        got = await outcomes([execute(tools, STAFF, adjust_stock, taking) for _ in range(5)])
        assert got == ["OutOfStock"] * 4 + ["Receipt"]


@on_a_loop
async def test_stock_that_is_not_tracked_is_not_counted(database_url: str) -> None:
    async with working_on(database_url) as tools:
        product_id = await listed(tools, stock=None)
        request = AdjustStock(product_id=product_id, quantity=1, reason="found")
        with pytest.raises(StockNotTracked):
            await execute(tools, STAFF, adjust_stock, request)


@on_a_loop
async def test_a_product_is_withdrawn_once_and_keeps_its_sku(database_url: str) -> None:
    async with working_on(database_url) as tools:
        product_id = await listed(tools, "TEA-1")
        request = WithdrawProduct(product_id=product_id)
        await execute(tools, STAFF, withdraw_product, request)
        with pytest.raises(ProductNotForSale):
            await execute(tools, STAFF, withdraw_product, request)
        with pytest.raises(ProductNotForSale):
            await execute(
                tools, STAFF, change_product, ChangeProduct(product_id=product_id, name="Pot")
            )
        with pytest.raises(SkuTaken):
            await execute(tools, STAFF, list_product, listing("TEA-1"))


@on_a_loop
async def test_a_product_that_is_not_there_is_not_found(database_url: str) -> None:
    async with working_on(database_url) as tools:
        with pytest.raises(NotFound):
            await execute(tools, STAFF, change_product, ChangeProduct(product_id=uuid4()))
        with pytest.raises(NotFound):
            await execute(tools, STAFF, withdraw_product, WithdrawProduct(product_id=uuid4()))


@on_a_loop
async def test_a_product_is_imported_once_and_its_stock_is_not_tracked(database_url: str) -> None:
    async with working_on(database_url) as tools:
        request = ImportProduct(
            product_id=uuid4(), sku="85123A", name="Lantern", price=pounds("2.55")
        )
        assert await create_once(tools, SYSTEM, import_product, request)
        assert (await product_of(tools, request.product_id)).stock is None
        assert await create_once(tools, SYSTEM, import_product, request) is None
        assert await tools.store.head() == 1
        with pytest.raises(SkuTaken):
            await execute(tools, STAFF, list_product, listing("85123A"))
