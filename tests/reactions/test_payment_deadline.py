"""Orders that nobody pays in time: cancelled by the system, once, whatever was down meanwhile."""

import asyncio
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest
from structlog.testing import capture_logs

from commands.execution import execute
from commands.orders.cancel_order import CancelOrder, cancel_order
from domain.order import Order
from domain.product import Product
from event_store.connections import connect
from reactions.mail_folder import MailFolder
from reactions.payment_deadline import AT_ONCE as AT_ONCE_MOST
from reactions.payment_deadline import note_deadlines
from reactions.system_actor import Overdue, SystemActor, cancel_if_unpaid
from tests.commands.given import (
    STAFF,
    asking,
    listed,
    order_of,
    paid,
    placed,
    product_of,
    registered,
    working_on,
)
from tests.conftest import tampering
from tests.event_store.asynchronous import on_a_loop
from tests.event_store.given import keyring
from tests.reactions.given import (
    finish,
    names_in_log,
    ordered,
    reacting,
    rows,
    running,
    wait_for,
)

AT_ONCE = timedelta()
DEADLINES = "select order_id from payment_deadlines order by due_at"
CANCELLATIONS = """
select stream_id, actor_id, actor_role, command, causation_id, correlation_id, recorded_at
  from events where name = 'order.cancelled' order by position
"""
PLACED = "select position, correlation_id, recorded_at from events where name = 'order.placed'"


async def states(database_url: str, order_id: UUID) -> tuple[Order, Product]:
    """Return an order of one product, and that product."""
    async with working_on(database_url) as tools:
        order = await order_of(tools, order_id)
        return order, await product_of(tools, order.lines[0].product_id)


@on_a_loop
async def test_an_unpaid_order_is_cancelled_by_the_system_and_its_stock_released(
    database_url: str, tmp_path: Path
) -> None:
    async with working_on(database_url) as tools:
        order_id = await ordered(tools, quantity=3)
    with reacting(database_url, MailFolder(tmp_path), AT_ONCE) as reactor:
        finish(reactor)
    order, product = await states(database_url, order_id)
    assert (order.status, product.stock) == ("cancelled", 10)
    [(position, correlation_id, _)] = rows(database_url, PLACED)
    [cancellation] = rows(database_url, CANCELLATIONS)
    by = ("system", "system", "CancelOrder", position, correlation_id)
    assert cancellation[:6] == (order_id, *by)
    [(commands,)] = rows(
        database_url,
        "select count(distinct command_id) from events where actor_id = 'system' and position > 1",
    )
    assert commands == 1
    assert rows(database_url, DEADLINES) == []


@on_a_loop
async def test_an_order_is_cancelled_within_five_seconds_of_its_deadline(
    database_url: str, tmp_path: Path
) -> None:
    window = timedelta(seconds=2)
    with reacting(database_url, MailFolder(tmp_path), window) as reactor, running(reactor):
        async with working_on(database_url) as tools:
            await ordered(tools)
        wait_for(lambda: "order.cancelled" in names_in_log(database_url))
    [(*_, cancelled_at)] = rows(database_url, CANCELLATIONS)
    [(*_, placed_at)] = rows(database_url, PLACED)
    assert 2 <= (cancelled_at - placed_at).total_seconds() < 7


@on_a_loop
async def test_a_deadline_is_kept_across_a_restart(database_url: str, tmp_path: Path) -> None:
    async with working_on(database_url) as tools:
        order_id = await ordered(tools)
    with reacting(database_url, MailFolder(tmp_path)) as reactor:
        finish(reactor)
    assert rows(database_url, DEADLINES) == [(order_id,)]
    rows(database_url, "update payment_deadlines set due_at = now() - interval '1 h'")
    with reacting(database_url, MailFolder(tmp_path)) as reactor:
        finish(reactor)
    order, _ = await states(database_url, order_id)
    assert order.status == "cancelled"


@on_a_loop
async def test_paid_and_cancelled_orders_have_no_deadline(
    database_url: str, tmp_path: Path
) -> None:
    async with working_on(database_url) as tools:
        paid_id = await ordered(tools, "a@example.com")
        await paid(tools, paid_id)
        cancelled_id = await ordered(tools, "b@example.com")
        request = CancelOrder(order_id=cancelled_id, reason="changed my mind")
        await execute(tools, STAFF, cancel_order, request)
    before = names_in_log(database_url)
    with reacting(database_url, MailFolder(tmp_path)) as reactor:
        finish(reactor)
    assert rows(database_url, DEADLINES) == []
    assert names_in_log(database_url) == before


@on_a_loop
async def test_an_order_paid_after_its_deadline_was_noted_is_not_cancelled(
    database_url: str, tmp_path: Path
) -> None:
    async with working_on(database_url) as tools:
        order_id = await ordered(tools)
        with connect(database_url, name="test") as connection:
            note_deadlines(connection, AT_ONCE)
        rows(database_url, "update reaction_checkpoints set retry_at = now() + interval '1 h'")
        await paid(tools, order_id)
    assert rows(database_url, DEADLINES) == [(order_id,)]
    with reacting(database_url, MailFolder(tmp_path), AT_ONCE) as reactor:
        finish(reactor)
    order, _ = await states(database_url, order_id)
    assert order.status == "paid"
    assert rows(database_url, DEADLINES) == []


@on_a_loop
async def test_payment_and_deadline_at_the_same_moment_never_both_win(database_url: str) -> None:
    async with working_on(database_url) as tools:
        buyer = asking("customer", await registered(tools))
        product_id = await listed(tools, stock=100)
        for number in range(10):
            order_id = (await placed(tools, buyer, (product_id, 1))).id
            [(position,)] = rows(
                database_url,
                "select position from events where stream_id = %s and version = 1",
                order_id,
            )
            both = [paid(tools, order_id), cancel_if_unpaid(tools, Overdue(order_id, position, ""))]
            if number % 2:
                both.reverse()
            await asyncio.gather(*both, return_exceptions=True)
            names = "select name from events where stream_id = %s order by version offset 1"
            [(won,)] = rows(database_url, names, order_id)
            assert won in {"order.paid", "order.cancelled"}


@on_a_loop
async def test_a_crash_between_cancellation_and_note_is_harmless(
    database_url: str, tmp_path: Path
) -> None:
    async with working_on(database_url) as tools:
        order_id = await ordered(tools)
    with connect(database_url, name="test") as connection:
        note_deadlines(connection, AT_ONCE)
    actor = SystemActor(database_url, keyring(), on_append=lambda _: None)
    actor.open()
    assert actor.cancel_unpaid([Overdue(order_id, 4, "c")]) == [None]
    actor.close()
    assert rows(database_url, DEADLINES) == [(order_id,)]
    with reacting(database_url, MailFolder(tmp_path), AT_ONCE) as reactor:
        finish(reactor)
    assert names_in_log(database_url).count("order.cancelled") == 1
    assert rows(database_url, DEADLINES) == []


@on_a_loop
async def test_an_order_that_cannot_be_cancelled_is_told_and_holds_no_other_up(
    database_url: str, tmp_path: Path
) -> None:
    async with working_on(database_url) as tools:
        broken_id = await ordered(tools, "a@example.com")
        fine_id = await ordered(tools, "b@example.com")
    damage = "update events set data = data - 'stock' || '{\"price\": 1}' where stream_id = %s"
    broken, _ = await states(database_url, broken_id)
    with tampering(database_url) as connection:
        connection.execute(damage, [broken.lines[0].product_id])
    with reacting(database_url, MailFolder(tmp_path), AT_ONCE) as reactor:
        finish(reactor)
        order, _ = await states(database_url, fine_id)
        assert order.status == "cancelled"
        query = "select name, attempts, error, retry_at is null from reaction_failures"
        [(name, attempts, error, parked)] = rows(database_url, query)
        assert (name, attempts, parked) == ("payment_deadline", 1, False)
        assert "UnreadableEvent" in error
        for _ in range(4):
            rows(
                database_url, "update reaction_failures set retry_at = now() where retry_at > now()"
            )
            finish(reactor)
        [(_, attempts, _, parked)] = rows(database_url, query)
        assert (attempts, parked) == (3, True)


@on_a_loop
async def test_orders_that_a_newer_release_has_written_to_hold_no_other_up(
    database_url: str, tmp_path: Path
) -> None:
    """As many of them as are cancelled at once, and all due before: they wait for its workers."""
    async with working_on(database_url) as tools:
        buyer = asking("customer", await registered(tools))
        product_id = await listed(tools, stock=100)
        orders = [(await placed(tools, buyer, (product_id, 1))).id for _ in range(AT_ONCE_MOST + 1)]
    *newer, fine = orders
    with tampering(database_url) as connection:
        for order_id in newer:
            connection.execute(WRAPPED, [order_id])
            connection.execute("update log_head set position = position + 1")
    with reacting(database_url, MailFolder(tmp_path), AT_ONCE) as reactor, capture_logs() as logs:
        finish(reactor)
    order, _ = await states(database_url, fine)
    assert order.status == "cancelled"
    assert {order_id for (order_id,) in rows(database_url, DEADLINES)} == set(newer)
    waits = [one for one in logs if one["event"] == "deadline_waits"]
    assert {one["order_id"] for one in waits} == {str(one) for one in newer}
    assert "order.wrapped" in waits[0]["error"]


WRAPPED = """
insert into events
select h.position + 1, %s, 'order', 2, 'order.wrapped', 1, '{}', 'a', 'staff', 'a', 'a', null,
       gen_random_uuid(), 'WrapOrder', now(), now()
  from log_head h
"""


@pytest.mark.parametrize("workers", [1, 2])
@on_a_loop
async def test_many_orders_due_at_once_are_all_cancelled_and_all_stock_is_back(
    database_url: str, tmp_path: Path, workers: int
) -> None:
    async with working_on(database_url) as tools:
        buyer = asking("customer", await registered(tools))
        product_id = await listed(tools, stock=40)
        for _ in range(40):
            await placed(tools, buyer, (product_id, 1))
    with ExitStack() as stack:
        for _ in range(workers):
            folder = MailFolder(tmp_path)
            reactor = stack.enter_context(reacting(database_url, folder, AT_ONCE))
            stack.enter_context(running(reactor))
        wait_for(lambda: names_in_log(database_url).count("order.cancelled") == 40)
        wait_for(lambda: rows(database_url, DEADLINES) == [])
    async with working_on(database_url) as tools:
        assert (await product_of(tools, product_id)).stock == 40
    assert names_in_log(database_url).count("product.stock_released") == 40
    assert rows(database_url, "select name from reaction_failures") == []
