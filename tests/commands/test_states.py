"""What a process believes of streams makes it fast, and never makes it wrong."""

import asyncio
from dataclasses import replace
from typing import Any
from uuid import UUID

import msgspec
import psycopg
import pytest

from commands.aggregates import PRODUCT
from commands.execution import execute
from commands.orders.cancel_order import CancelOrder, cancel_order
from commands.orders.place_order import Item, PlaceOrder, place_order
from commands.products.adjust_stock import AdjustStock, adjust_stock
from commands.products.change_product import ChangeProduct, change_product
from commands.products.list_product import ListProduct, list_product
from commands.states import EVENTS_WORTH_A_SNAPSHOT
from commands.work import Tools
from domain.product import Event, OutOfStock, Product
from domain.refusal import NotFound
from tests.commands.given import STAFF, asking, if_match, pounds, working_on
from tests.event_store.asynchronous import on_a_loop

BUYER = UUID(int=7)
CUSTOMER = asking("customer", BUYER)


async def listed(tools: Tools, stock: int | None) -> UUID:
    request = ListProduct(sku="TEA", name="Tea", price=pounds("2.00"), stock=stock)
    return (await execute(tools, STAFF, list_product, request)).id


async def bought(tools: Tools, product_id: UUID, quantity: int = 1) -> str:
    request = PlaceOrder(items=[Item(product_id, quantity)])
    try:
        await execute(tools, CUSTOMER, place_order, request)
    except OutOfStock:
        return "out of stock"
    return "placed"


async def adjusted(tools: Tools, product_id: UUID, quantity: int) -> Any:
    request = AdjustStock(product_id=product_id, quantity=quantity, reason="count")
    return await execute(tools, STAFF, adjust_stock, request)


async def stock_in_log(tools: Tools, product_id: UUID) -> int:
    events: list[Any] = await tools.store.load(product_id)
    product = PRODUCT.fold(events)
    assert product is not None
    assert product.stock is not None
    return product.stock


@on_a_loop
async def test_a_refusal_is_never_decided_on_what_another_process_has_changed(
    database_url: str,
) -> None:
    async with working_on(database_url) as here, working_on(database_url) as there:
        tea = await listed(here, stock=1)
        assert await bought(there, tea) == "placed"
        assert await bought(here, tea) == "out of stock"
        await adjusted(there, tea, 1)
        assert await bought(here, tea) == "placed"


@on_a_loop
async def test_a_success_is_never_decided_on_what_another_process_has_changed(
    database_url: str,
) -> None:
    async with working_on(database_url) as here, working_on(database_url) as there:
        tea = await listed(here, stock=5)
        assert await bought(there, tea, 5) == "placed"
        assert await bought(here, tea, 1) == "out of stock"
        assert await stock_in_log(here, tea) == 0


@on_a_loop
async def test_an_expected_version_is_that_of_the_log(database_url: str) -> None:
    async with working_on(database_url) as here, working_on(database_url) as there:
        tea = await listed(here, stock=5)
        renamed = ChangeProduct(product_id=tea, name="Green tea")
        await execute(there, STAFF, change_product, renamed)
        receipt = await execute(
            here, if_match(STAFF, 2), change_product, ChangeProduct(product_id=tea, name="Tea")
        )
        assert receipt.version == 3


@on_a_loop
async def test_a_product_that_everybody_wants_is_never_oversold(database_url: str) -> None:
    async with working_on(database_url) as one, working_on(database_url) as two:
        tea = await listed(one, stock=100)
        answers = await asyncio.gather(*(bought((one, two)[n % 2], tea) for n in range(240)))
        assert answers.count("placed") == 100
        assert answers.count("out of stock") == 140
        assert await stock_in_log(one, tea) == 0


@on_a_loop
async def test_the_id_of_something_else_is_the_id_of_nothing(database_url: str) -> None:
    """Whether this process knows the stream already or has to read it, and it knows no less."""
    async with working_on(database_url) as here, working_on(database_url) as there:
        tea = await listed(here, stock=1)
        for tools in (here, there):
            with pytest.raises(NotFound):
                await execute(tools, STAFF, cancel_order, CancelOrder(order_id=tea, reason="no"))
            await adjusted(tools, tea, 1)
            with pytest.raises(NotFound):
                await execute(tools, STAFF, cancel_order, CancelOrder(order_id=tea, reason="no"))
        assert await stock_in_log(there, tea) == 3


@on_a_loop
async def test_what_counts_on_an_append_that_fails_fails_with_it(database_url: str) -> None:
    """Both processes bring the stream to the same version; only one of the histories is true."""
    async with working_on(database_url) as here, working_on(database_url) as there:
        tea = await listed(here, stock=4)
        await bought(there, tea, 2)  # `here` still believes in a stock of 4
        answers = await asyncio.gather(*(bought(here, tea) for _ in range(8)))
        assert answers.count("placed") == 2
        assert await stock_in_log(here, tea) == 0


@on_a_loop
async def test_one_reading_serves_many_commands(database_url: str) -> None:
    async with working_on(database_url) as tools:
        tea = await listed(tools, stock=None)
        before = statements(database_url)
        await asyncio.gather(*(bought(tools, tea) for _ in range(50)))
        assert statements(database_url) - before < 25


@pytest.mark.parametrize("leaves", [False, True])
@on_a_loop
async def test_a_long_stream_that_many_want_at_once_is_folded_once(
    database_url: str,
    leaves: bool,  # noqa: FBT001 - whether the first one who asks does not stay for the answer
) -> None:
    async with working_on(database_url) as tools:
        tea = await listed(tools, stock=0)
        await asyncio.gather(*(adjusted(tools, tea, 1) for _ in range(50)))
    folded = 0

    def evolve(state: Product | None, event: Event) -> Product:
        nonlocal folded
        folded += 1
        return PRODUCT.evolve(state, event)

    counting = replace(PRODUCT, evolve=evolve)
    async with working_on(database_url) as later:
        first, *others = (
            asyncio.create_task(later.states.read(counting, [tea], proven=False)) for _ in range(20)
        )
        await asyncio.sleep(0)
        if leaves:
            first.cancel()
        found = await asyncio.gather(*others)
    assert {one[tea].version for one in found} == {51}
    assert folded == 51


def statements(database_url: str) -> int:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("select pg_stat_force_next_flush()")
        row = connection.execute(
            "select xact_commit from pg_stat_database where datname = current_database()"
        ).fetchone()
    assert row is not None
    return int(row[0])


async def snapshot_of(database_url: str, stream_id: UUID) -> tuple[int, str] | None:
    query = "select version, fingerprint from snapshots where stream_id = %s"
    for _ in range(100):
        with psycopg.connect(database_url) as connection:
            row = connection.execute(query, [stream_id]).fetchone()
        if row is not None:
            return int(row[0]), str(row[1])
        await asyncio.sleep(0.02)
    return None


@pytest.mark.timeout(60)
@on_a_loop
async def test_a_long_stream_is_read_from_its_snapshot(database_url: str) -> None:
    async with working_on(database_url) as tools:
        tea = await listed(tools, stock=0)
        await asyncio.gather(*(adjusted(tools, tea, 1) for _ in range(EVENTS_WORTH_A_SNAPSHOT)))
    async with working_on(database_url) as reader:
        await adjusted(reader, tea, 1)
        made = await snapshot_of(database_url, tea)
        assert made == (EVENTS_WORTH_A_SNAPSHOT + 1, PRODUCT.fingerprint)
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("update snapshots set state = jsonb_set(state, '{stock}', '5000')")
    async with working_on(database_url) as later:
        assert (await adjusted(later, tea, 1)).answer.stock == 5_000 + 2, "it came from there"
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("update snapshots set fingerprint = 'product:of another schema'")
    async with working_on(database_url) as newest:
        receipt = await adjusted(newest, tea, 1)
        assert receipt.answer.stock == EVENTS_WORTH_A_SNAPSHOT + 3, "a void snapshot is not read"


def test_a_snapshot_holds_every_part_of_a_state() -> None:
    product = Product("A", "Tea", pounds("2.005"), 7, withdrawn=True)
    assert PRODUCT.decode(msgspec.json.encode(product).decode()) == product
