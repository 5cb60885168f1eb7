"""Load, decide, append: decided again when others were faster, up to a bound."""

import asyncio
import json
import subprocess
import sys
from datetime import UTC, datetime
from uuid import UUID, uuid4

import msgspec
import pytest

from commands.aggregates import PRODUCT
from commands.execution import ATTEMPTS, TooMuchContention, execute
from commands.products.adjust_stock import AdjustStock, adjust_stock
from commands.products.change_product import ChangeProduct, change_product
from commands.work import PreconditionFailed, Work
from domain.product import StockAdjusted
from domain.refusal import NotFound
from event_store.records import StoreUnavailable
from tests.commands.given import (
    STAFF,
    asking,
    if_match,
    listed,
    outcomes,
    product_of,
    working_on,
)
from tests.event_store.asynchronous import on_a_loop
from tests.event_store.given import rows


def adjusting(product_id: UUID, quantity: int) -> AdjustStock:
    """Return a request to count stock in or out."""
    return AdjustStock(product_id=product_id, quantity=quantity, reason="count")


@on_a_loop
async def test_a_receipt_says_what_changed_and_where_to_find_it(database_url: str) -> None:
    async with working_on(database_url) as tools:
        product_id = await listed(tools)
        receipt = await execute(tools, STAFF, adjust_stock, adjusting(product_id, 5))
        assert (receipt.id, receipt.version, receipt.position) == (product_id, 2, 2)
        assert receipt.answer.stock == 15


@on_a_loop
async def test_a_command_that_changes_nothing_appends_nothing(database_url: str) -> None:
    async with working_on(database_url) as tools:
        product_id = await listed(tools)
        request = ChangeProduct(product_id=product_id, name="Teapot")
        receipt = await execute(tools, STAFF, change_product, request)
        assert (receipt.version, receipt.position) == (1, 1)
        assert await tools.store.head() == 1


@on_a_loop
async def test_what_does_not_exist_is_not_found(database_url: str) -> None:
    async with working_on(database_url) as tools:
        with pytest.raises(NotFound):
            await execute(tools, STAFF, adjust_stock, adjusting(uuid4(), 1))


@on_a_loop
async def test_two_who_adjust_at_once_both_succeed(database_url: str) -> None:
    async with working_on(database_url) as tools:
        product_id = await listed(tools, stock=0)
        got = await outcomes(
            [execute(tools, STAFF, adjust_stock, adjusting(product_id, n)) for n in (3, 4)]
        )
        assert got == ["Receipt", "Receipt"]
        assert (await product_of(tools, product_id)).stock == 7


@on_a_loop
async def test_no_update_of_a_hot_product_is_lost(database_url: str) -> None:
    async with working_on(database_url) as tools:
        product_id = await listed(tools, stock=0)

        async def adjust(quantity: int) -> int:
            try:
                await execute(tools, STAFF, adjust_stock, adjusting(product_id, quantity))
            except TooMuchContention:
                return 0
            return quantity

        counted = await asyncio.gather(*(adjust(quantity) for quantity in range(1, 51)))
        assert (await product_of(tools, product_id)).stock == sum(counted)
        assert sum(counted) > 0


@on_a_loop
async def test_whoever_insists_on_a_version_that_is_gone_is_told_the_present_one(
    database_url: str,
) -> None:
    async with working_on(database_url) as tools:
        product_id = await listed(tools)
        await execute(tools, if_match(STAFF, 1), adjust_stock, adjusting(product_id, 1))
        with pytest.raises(PreconditionFailed) as failed:
            await execute(tools, if_match(STAFF, 1), adjust_stock, adjusting(product_id, 1))
        detail = failed.value.details[0]
        assert (detail.field, detail.value) == ("currentVersion", 2)
        assert (await product_of(tools, product_id)).stock == 11


@on_a_loop
async def test_of_those_who_insist_on_one_version_one_succeeds(database_url: str) -> None:
    async with working_on(database_url) as tools:
        product_id = await listed(tools, stock=0)
        got = await outcomes(
            [
                execute(tools, if_match(STAFF, 1), adjust_stock, adjusting(product_id, 1))
                for _ in range(8)
            ]
        )
        assert got == ["PreconditionFailed"] * 7 + ["Receipt"]
        assert (await product_of(tools, product_id)).stock == 1


class Ask(msgspec.Struct, frozen=True):
    """A request of the test's own."""

    product_id: UUID


@on_a_loop
async def test_a_command_is_decided_again_up_to_a_bound(database_url: str) -> None:
    decided = 0

    async with working_on(database_url) as tools:
        product_id = await listed(tools)

        async def always_overtaken(work: Work, request: Ask) -> None:
            nonlocal decided
            decided += 1
            await work.target(PRODUCT, request.product_id)
            await execute(tools, STAFF, adjust_stock, adjusting(request.product_id, 1))
            work.add(request.product_id, [StockAdjusted(1_000, "never")])

        with pytest.raises(TooMuchContention) as contention:
            await execute(tools, STAFF, always_overtaken, Ask(product_id))
        assert decided == ATTEMPTS
        assert contention.value.code == "VERSION_CONFLICT"
        assert contention.value.details[0].value == 1 + ATTEMPTS
        assert (await product_of(tools, product_id)).stock == 10 + ATTEMPTS


def test_two_processes_that_change_one_product_lose_nothing(database_url: str) -> None:
    """50 clients, no expected version: all is added up, and few attempts end in doing or in 409."""
    product_id = asyncio.run(hot_product(database_url))
    command = [sys.executable, "-m", "tests.commands.hot_process", database_url, str(product_id)]
    at_work = [
        subprocess.Popen([*command, "25", "2"], stdout=subprocess.PIPE, text=True) for _ in range(2)
    ]
    found = [json.loads(one.communicate(timeout=60)[0]) for one in at_work]
    assert max(one["most attempts"] for one in found) <= ATTEMPTS
    assert all(one["done"] > one["refused"] for one in found)
    assert asyncio.run(stock_of(database_url, product_id)) == sum(one["done"] for one in found)


async def hot_product(database_url: str) -> UUID:
    """Offer a product."""
    async with working_on(database_url) as tools:
        return await listed(tools, stock=0)


async def stock_of(database_url: str, product_id: UUID) -> int | None:
    """Return a product's stock as the log has it."""
    async with working_on(database_url) as tools:
        return (await product_of(tools, product_id)).stock


@on_a_loop
async def test_a_stream_that_changes_between_two_looks_is_a_conflict(database_url: str) -> None:
    looks: list[tuple[int | None, int | None]] = []

    async with working_on(database_url) as tools:
        product_id, other = await listed(tools), await listed(tools, "LAMP-1")

        async def look_twice(work: Work, request: Ask) -> None:
            first = await work.target(PRODUCT, request.product_id)
            if not looks:
                await execute(tools, STAFF, adjust_stock, adjusting(request.product_id, -10))
            again = (await work.find_many(PRODUCT, [other, request.product_id]))[request.product_id]
            assert again is not None
            looks.append((first.stock, again.stock))
            work.add(request.product_id, [StockAdjusted(1, "decided on the first look")])

        await execute(tools, STAFF, look_twice, Ask(product_id))
        assert looks == [(10, 0), (0, 0)]


@on_a_loop
async def test_one_stream_named_twice_is_read_once(database_url: str) -> None:
    async with working_on(database_url) as tools:
        product_id = await listed(tools)
        work = Work(tools, STAFF, datetime.now(UTC))
        found = await work.find_many(PRODUCT, [product_id, product_id])
        assert list(found) == [product_id]
        assert work.version(product_id) == 1


@on_a_loop
async def test_the_log_says_who_asked_for_what_in_which_request(database_url: str) -> None:
    when = datetime(2010, 12, 1, 8, 26, tzinfo=UTC)
    asker = msgspec.structs.replace(asking("staff", UUID(int=7)), occurred_at=when)
    async with working_on(database_url) as tools:
        product_id = await listed(tools)
        await execute(tools, asker, adjust_stock, adjusting(product_id, 1))
    query = """
        select actor_id, actor_role, request_id, correlation_id, command, occurred_at, stream_type
          from events where position = 2
    """
    assert rows(database_url, query) == [
        (
            "00000000-0000-0000-0000-000000000007",
            "staff",
            "request-1",
            "correlation-1",
            "AdjustStock",
            when,
            "product",
        )
    ]


@on_a_loop
async def test_without_postgres_a_command_is_unavailable() -> None:
    async with working_on("postgresql://postgres@127.0.0.1:9/daybook") as tools:
        with pytest.raises(StoreUnavailable):
            await execute(tools, STAFF, adjust_stock, adjusting(uuid4(), 1))
