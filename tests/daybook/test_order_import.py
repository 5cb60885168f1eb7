"""Importing orders into a real log: each line once, whatever happens, and for the right one."""

import asyncio
import io
import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest

from commands.work import EMAIL, Asker, Tools
from daybook.command_line.operator_commands import operator
from daybook.importing.order_file import Entry, Rejected, lines_of
from daybook.importing.order_import import (
    MIXED,
    SCATTERED,
    TOO_LONG,
    OrderImport,
    Outcome,
    derived_id,
)
from daybook.migrate import migrate
from domain.order import LARGEST_QUANTITY, MOST_LINES
from domain.user import EmailTaken
from event_store import appender
from event_store.privacy.keyring import LOOKUP, hashed
from event_store.records import StoreUnavailable
from tests.commands.given import listed, registered, working_on
from tests.daybook.conftest import Typed
from tests.event_store.asynchronous import on_a_loop
from tests.event_store.given import everything, keyring, rows

HEADER = "invoice,sku,name,quantity,unit_price,placed_at,customer,currency"
NOON = "2011-03-04T12:00:00"


def line(
    invoice: str = "A-1",
    sku: str = "TEA-1",
    quantity: object = 2,
    price: object = "4.20",
    customer: str = "ada",
    **other: str,
) -> str:
    """Return a line of a file in Daybook's own columns."""
    name, placed_at, currency = (
        other.get(key, default)
        for key, default in (("name", f"Name of {sku}"), ("at", NOON), ("currency", "GBP"))
    )
    cells = (invoice, sku, name, quantity, price, placed_at, customer, currency)
    return ",".join(map(str, cells))


def parsed(lines: Iterable[str]) -> Iterator[Entry | Rejected]:
    """Read lines as those of a file."""
    return lines_of(io.StringIO("\n".join([HEADER, *lines])), None)


class Imported:
    """What an import told: its outcome, and each refused line with its reason."""

    def __init__(self, outcome: Outcome, rejected: list[Rejected]) -> None:
        self.outcome = outcome
        self.rejected = {one.line: one.reason for one in rejected}
        assert outcome.accepted + sum(outcome.refused.values()) == outcome.read
        assert outcome.refused == Counter(self.rejected.values())


async def imported(tools: Tools, *lines: str, asker: Asker | None = None) -> Imported:
    """Import lines; accepted and refused ones together must be all of them."""
    rejected: list[Rejected] = []
    run = OrderImport(tools, asker or operator(), rejected.append)
    return Imported(await run.run(parsed(lines)), rejected)


def named(database_url: str, name: str) -> list[dict[str, Any]]:
    """Return the data of the events with a name, in order."""
    query = "select data from events where name = %s order by position"
    return [data for (data,) in rows(database_url, query, name)]


def log(database_url: str) -> set[tuple[Any, ...]]:
    """Return what the log holds, but for the times of recording."""
    roles = dict(rows(database_url, "select position, actor_role from events"))
    return {
        (one.stream_id, one.version, str(one.event), roles[one.position])
        for one in everything(database_url)
    }


@on_a_loop
async def test_an_invoice_becomes_one_order_of_its_time(database_url: str) -> None:
    asker = operator()
    async with working_on(database_url) as tools:
        told = await imported(tools, line(), line(sku="MUG-1", quantity=1, price="3"), asker=asker)
    assert told.rejected == {}
    outcome = told.outcome
    assert (outcome.read, outcome.orders, outcome.customers, outcome.products) == (2, 1, 1, 2)
    [order] = named(database_url, "order.imported")
    assert order["reference"] == "A-1"
    assert order["total"] == {"amount": "11.40", "currency": "GBP"}
    assert [(one["sku"], one["quantity"], one["unit_price"]) for one in order["lines"]] == [
        ("TEA-1", 2, "4.20"),
        ("MUG-1", 1, "3.00"),
    ]
    query = "select actor_id, command, occurred_at from events where name = 'order.imported'"
    noon = datetime(2011, 3, 4, 12, tzinfo=UTC)
    assert rows(database_url, query) == [(asker.actor_id, "ImportOrder", noon)]
    assert datetime.fromisoformat(order["placed_at"]) == noon


@on_a_loop
async def test_a_customer_and_a_product_come_before_their_order(database_url: str) -> None:
    """All under way at once, in the order of the file."""
    lines = [
        line(f"A-{number}", f"SKU-{number % 41}", customer=f"c{number % 37}", at=f"2011-01-0{day}")
        for number in range(400)
        for day in [number % 9 + 1]
    ]
    async with working_on(database_url) as tools:
        told = await imported(tools, *lines)
    outcome = told.outcome
    assert (outcome.orders, outcome.customers, outcome.products) == (400, 37, 41)
    query = """
        select o.position, u.position, p.position
          from events o
          join events u on u.stream_id = (o.data ->> 'user_id')::uuid
          join events p on p.stream_id = (o.data -> 'lines' -> 0 ->> 'product_id')::uuid
         where o.name = 'order.imported' order by o.position
    """
    found = rows(database_url, query)
    assert len(found) == 400
    assert all(order > user and order > product for order, user, product in found)
    references = [order["reference"] for order in named(database_url, "order.imported")]
    assert references == [f"A-{number}" for number in range(400)]


@on_a_loop
async def test_importing_again_adds_nothing(database_url: str) -> None:
    lines = [line(), line("A-2", customer="17850"), line("C-3"), line("A-1", "MUG-1")]
    async with working_on(database_url) as tools:
        first = await imported(tools, *lines)
        before = log(database_url)
        second = await imported(tools, *lines)
        assert log(database_url) == before
    assert first.rejected == second.rejected == {4: "invoice cancelled", 5: SCATTERED}
    assert first.outcome.accepted == second.outcome.accepted == 2
    assert (second.outcome.orders, second.outcome.orders_known) == (0, 2)
    assert (second.outcome.customers, second.outcome.products) == (0, 0)


@on_a_loop
async def test_two_imports_at_once_add_each_order_once(database_url: str) -> None:
    lines = [line(f"A-{n}", f"SKU-{n % 7}", customer=f"c{n % 5}") for n in range(150)]
    async with working_on(database_url) as one, working_on(database_url) as other:
        both = await asyncio.gather(imported(one, *lines), imported(other, *lines))
    assert sum(told.outcome.orders for told in both) == 150
    assert sum(told.outcome.customers for told in both) == 5
    assert sum(told.outcome.products for told in both) == 7
    assert [told.outcome.accepted for told in both] == [150, 150]


@on_a_loop
async def test_a_total_is_rounded_once_half_up(database_url: str) -> None:
    invoices = {
        ("0.005",): "0.01",
        ("0.0049",): "0.00",
        ("1.0050", "0.0001"): "1.01",
        ("0.3333", "0.3333", "0.3384"): "1.01",  # 1.0050: once, and not line by line
        ("999999999999.9999",): "1000000000000.00",
    }
    lines = [
        line(f"A-{number}", f"SKU-{place}", quantity=1, price=price)
        for number, prices in enumerate(invoices)
        for place, price in enumerate(prices)
    ]
    async with working_on(database_url) as tools:
        await imported(tools, *lines)
    orders = named(database_url, "order.imported")
    assert [order["total"]["amount"] for order in orders] == list(invoices.values())
    for order, prices in zip(orders, invoices, strict=True):
        exact = sum((Decimal(one["amount"]) for one in order["lines"]), Decimal())
        assert exact == sum(map(Decimal, prices))


@on_a_loop
async def test_a_listed_product_with_the_sku_is_the_one_that_is_sold(database_url: str) -> None:
    async with working_on(database_url) as tools:
        product_id = await listed(tools, "TEA-1")
        told = await imported(tools, line(price="3.99", name="Tea of old"))
    assert told.outcome.products == 0
    assert len(named(database_url, "product.listed")) == 1
    [sold] = named(database_url, "order.imported")[0]["lines"]
    assert sold["product_id"] == str(product_id)
    assert (sold["name"], sold["unit_price"]) == ("Tea of old", "3.99")


@on_a_loop
async def test_two_spellings_of_a_sku_or_a_customer_are_one(database_url: str) -> None:
    """Also when the first is still under way: they would be in each other's way."""
    composed = "CAF\N{LATIN CAPITAL LETTER E WITH ACUTE}"
    decomposed = "CAFE\N{COMBINING ACUTE ACCENT}"
    lines = [line("A-1", decomposed, customer="Ada"), line("A-2", composed, customer="ADA")]
    async with working_on(database_url) as tools:
        told = await imported(tools, *lines)
        again = await imported(tools, *reversed(lines))
    assert (told.outcome.orders, told.outcome.customers, told.outcome.products) == (2, 1, 1)
    assert (again.outcome.orders, again.outcome.customers, again.outcome.products) == (0, 0, 0)
    first, second = named(database_url, "order.imported")
    assert first["user_id"] == second["user_id"]
    assert first["lines"][0]["product_id"] == second["lines"][0]["product_id"]


@on_a_loop
async def test_somebody_who_took_a_customers_address_gets_none_of_their_orders(
    database_url: str,
) -> None:
    lines = [line("A-1", customer="17850"), line("A-1", "MUG-1", customer="17850"), line("A-2")]
    async with working_on(database_url) as tools:
        take_address(database_url, await registered(tools), "customer-17850@imported.invalid")
        told = await imported(tools, *lines)
    assert told.rejected == {2: EmailTaken.sentence, 3: EmailTaken.sentence}
    [order] = named(database_url, "order.imported")
    assert order["reference"] == "A-2"


@on_a_loop
async def test_a_customer_whose_address_changed_is_still_the_same(database_url: str) -> None:
    """Even if somebody else has taken the old address since."""
    async with working_on(database_url) as tools:
        await imported(tools, line("A-1", customer="17850"))
        user_id = derived_id("customer", "17850")
        take_address(database_url, user_id, "ada@example.com")
        again = await imported(tools, line("A-2", customer="17850"))
        take_address(database_url, await registered(tools), "customer-17850@imported.invalid")
        once_more = await imported(tools, line("A-3", customer="17850"))
    assert again.outcome.customers == once_more.outcome.customers == 0
    orders = named(database_url, "order.imported")
    assert [order["user_id"] for order in orders] == [str(user_id)] * 3


def take_address(database_url: str, user_id: UUID, email: str) -> None:
    """Let an account hold another address; registering refuses addresses that end in .invalid."""
    change = "update unique_claims set value = %s where scope = 'user.email' and stream_id = %s"
    with psycopg.connect(database_url, autocommit=True) as connection:
        lookup = keyring().fetch(connection, [LOOKUP])[LOOKUP]
        assert lookup is not None
        value = hashed(lookup, EMAIL, email)
        assert connection.execute(change, [value, user_id]).rowcount == 1


@on_a_loop
async def test_what_the_catalogue_refuses_costs_its_line_only(database_url: str) -> None:
    lines = [
        line(sku="OK-1"),
        line(sku="P-1", price="0.00001"),
        line(sku="P-2", price="1000000000000"),
        line(sku="P-3", price="1e-999999"),
        line(sku="P-4", currency="gbp"),
        line(sku="P-5", name="n" * 201),
        line(sku="P" * 65),
        line(sku="P-6", quantity=LARGEST_QUANTITY + 1),
        line(sku="P-7", quantity=10**17),
        line(sku="OK-2", quantity=LARGEST_QUANTITY, price="999999999999.9999"),
    ]
    # Of one currency they would be an invoice, and a currency of its own makes it two.
    lines[4] = line("A-2", "P-4", currency="gbp")
    async with working_on(database_url) as tools:
        told = await imported(tools, *lines[:4], *lines[5:], lines[4])
        again = await imported(tools, *lines[:4], *lines[5:], lines[4])
    four, most = "A price has at most four decimals.", "A price is more than 0 and less than 10^12."
    assert told.rejected == again.rejected
    assert told.rejected == {
        3: four,
        4: most,
        5: four,
        6: "At most 200 characters are allowed here.",
        7: "At most 64 characters are allowed here.",
        8: f"A quantity is from 1 to {LARGEST_QUANTITY}.",
        9: f"A quantity is from 1 to {LARGEST_QUANTITY}.",
        11: "A currency is a code such as GBP.",
    }
    [order] = named(database_url, "order.imported")
    assert [one["sku"] for one in order["lines"]] == ["OK-1", "OK-2"]
    assert order["lines"][1]["amount"] == "999999999999999900.00"


@on_a_loop
async def test_a_known_product_excuses_no_name_that_would_be_refused(database_url: str) -> None:
    """Or importing again would accept what was refused."""
    lines = [line("A-1", name="n" * 201), line("A-2"), line("A-3", name="n" * 201)]
    async with working_on(database_url) as tools:
        first = await imported(tools, *lines)
        second = await imported(tools, *lines)
    assert list(first.rejected) == list(second.rejected) == [2, 4]


@on_a_loop
async def test_a_customer_or_invoice_that_cannot_be_kept_costs_its_invoice_only(
    database_url: str,
) -> None:
    lines = [
        line("A-1", customer="c" * 92),
        line("A-2", customer="c" * 5_000),
        line("A" * 5_000, customer="eve"),
        line("A-4", customer="c" * 91),
    ]
    async with working_on(database_url) as tools:
        told = await imported(tools, *lines)
    assert list(told.rejected) == [2, 3, 4]
    assert [order["reference"] for order in named(database_url, "order.imported")] == ["A-4"]


@on_a_loop
async def test_an_invoice_in_two_places_keeps_its_first(database_url: str) -> None:
    lines = [line("A-1"), line("A-1", "MUG-1"), line("A-2"), line("A-1", "POT-1"), line("A-2")]
    async with working_on(database_url) as tools:
        told = await imported(tools, *lines)
    assert told.rejected == {5: SCATTERED}
    assert [len(one["lines"]) for one in named(database_url, "order.imported")] == [2, 2]


@on_a_loop
async def test_refused_lines_between_do_not_part_an_invoice(database_url: str) -> None:
    lines = [line("A-1"), line("C-9"), line("A-9", customer=""), line("A-1", "MUG-1")]
    async with working_on(database_url) as tools:
        told = await imported(tools, *lines)
    assert list(told.rejected) == [3, 4]
    [order] = named(database_url, "order.imported")
    assert len(order["lines"]) == 2


@on_a_loop
async def test_an_invoice_of_two_customers_or_too_many_lines_is_refused(database_url: str) -> None:
    lines = [
        line("A-1"),
        line("A-1", customer="eve"),
        line("A-2"),
        line("A-2", currency="EUR"),
        *[line("A-3")] * (MOST_LINES + 1),
        *[line("A-4")] * MOST_LINES,
    ]
    async with working_on(database_url) as tools:
        told = await imported(tools, *lines)
    assert told.outcome.refused == {MIXED: 4, TOO_LONG: MOST_LINES + 1}
    [order] = named(database_url, "order.imported")
    assert order["reference"] == "A-4"


@on_a_loop
async def test_what_is_under_way_is_answered_while_only_refused_lines_come(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing else waits in such a stretch, and an append that waits too long has failed."""
    monkeypatch.setattr(appender, "DEADLINE_SECONDS", 0.5)

    def slowly() -> Iterator[Entry | Rejected]:
        yield from parsed([line("A-1"), line("A-2")])
        for number in range(6_000):
            time.sleep(0.0001)
            yield Rejected(number, "", "no customer")

    async with working_on(database_url) as tools:
        await imported(tools, line("A-0"))
        outcome = await OrderImport(tools, operator(), lambda _: None).run(slowly())
    assert (outcome.orders, outcome.accepted) == (2, 2)


@on_a_loop
async def test_an_import_ends_when_the_log_gives_no_answer(database_url: str) -> None:
    lines = (line(f"A-{number}") for number in range(2_000))
    async with working_on(database_url) as tools:
        await imported(tools, line())
        with psycopg.connect(database_url) as locking:
            locking.execute("select position from log_head for update")
            began = time.monotonic()
            with pytest.raises(StoreUnavailable):
                await OrderImport(tools, operator(), lambda _: None).run(parsed(lines))
            assert time.monotonic() - began < 10


def test_after_a_kill_in_the_middle_the_next_import_makes_it_whole(
    database_url: str,
    empty_database: str,
    environment: dict[str, str],
    typed: Typed,
    tmp_path: Path,
) -> None:
    file = tmp_path / "orders.csv"
    lines = [
        line(f"A-{n}", f"SKU-{n * piece % 500}", customer=f"c{n % 300}", price=f"{n % 50}.333")
        for n in range(1_500)
        for piece in (7, 11)
    ]
    file.write_text("\n".join([HEADER, *lines]))
    command = [sys.executable, "-m", "daybook", "import", "orders", str(file)]
    with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as importing:
        while rows(database_url, "select position from log_head")[0][0] < 500:
            assert importing.poll() is None
            time.sleep(0.005)
        importing.kill()
    half = rows(database_url, "select count(*) from events where name = 'order.imported'")[0][0]
    assert 0 < half < 1_500

    again = typed("import", "orders", str(file), "--json")
    assert again.returncode == 0, again.stderr
    told = json.loads(again.stdout)
    assert told["lines read"] == told["lines accepted"] == 3_000
    assert told["orders known already"] == half
    assert told["orders new"] == 1_500 - half
    totals = "select count(*), sum(total), sum(units) from orders_v1"
    assert rows(database_url, totals) == [(1_500, Decimal("148995.00"), 6_000)]
    migrate(empty_database)
    asyncio.run(imported_at_one_go(empty_database, lines))
    assert log(database_url) == log(empty_database)


async def imported_at_one_go(database_url: str, lines: list[str]) -> None:
    """Import lines without being killed."""
    async with working_on(database_url) as tools:
        await imported(tools, *lines)
