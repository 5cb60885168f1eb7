"""The road from the log to the tables: page and checkpoint together, once, or not at all."""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from textwrap import dedent
from typing import Any
from uuid import UUID

import psycopg
import pytest

from domain.money import Money
from domain.order import OrderPaid, OrderPlaced, line_of
from domain.product import ProductListed
from event_store.connections import connect
from event_store.records import Recorded
from projections import orders, products, sales_by_day
from projections.posting import folding, pages
from projections.posting import post_page as posting
from projections.posting.copying import copy_rows
from projections.posting.engine import catch_up
from projections.posting.failures import failures
from projections.posting.pages import Pages
from projections.posting.row_sql import read_rows, write_rows
from projections.projection import Rows
from projections.switched_on import PROJECTIONS
from tests.domain.given import ALICE, LANTERN, NOON, ORDER, TEAPOT, pounds
from tests.projections.given import (
    STORY,
    append,
    everything,
    many_orders,
    position_of,
    post,
    rows_of,
    stored,
)
from tests.projections.test_leases import started


def test_the_tables_hold_what_the_folds_made(database_url: str) -> None:
    append(database_url, STORY)
    post(database_url)
    with connect(database_url, name="test") as connection:
        for projection in (sales_by_day.PROJECTION, products.PROJECTION):
            for table in projection.tables:
                found = [clocks_apart(row) for row in stored(connection, table)]
                made = rows_of(projection, STORY).all(table)
                assert found == [clocks_apart(row) for row in made]


def clocks_apart(row: dict[str, object]) -> dict[str, object]:
    """Leave out the times that the log gave."""
    return {name: value for name, value in row.items() if name not in {"created_at", "updated_at"}}


def test_the_same_page_twice_changes_nothing(database_url: str) -> None:
    append(database_url, STORY)
    post(database_url)
    before = everything(database_url)
    post(database_url)
    assert everything(database_url) == before
    assert {position_of(database_url, one) for one in PROJECTIONS.values()} == {len(STORY)}


def test_pages_of_any_size_lead_to_the_same_rows(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    append(database_url, STORY)
    post(database_url)
    at_once = everything(database_url)
    with connect(database_url, name="test") as connection:
        for projection in PROJECTIONS.values():
            for table in projection.tables:
                connection.execute(f"truncate {table.name}".encode())
        connection.execute("update projection_checkpoints set position = 0")
    monkeypatch.setattr(pages, "PAGE", 1)
    post(database_url)
    assert everything(database_url) == at_once


def test_of_two_workers_one_works_and_the_other_returns_at_once(database_url: str) -> None:
    append(database_url, STORY)
    inside, may_go_on = threading.Event(), threading.Event()

    def slow(rows: Rows, recorded: Recorded) -> None:
        inside.set()
        may_go_on.wait(20)
        products.fold(rows, recorded)

    def work() -> None:
        projection = replace(products.PROJECTION, fold=slow)
        with connect(database_url, name="first") as connection:
            catch_up(connection, projection, Pages([projection]))

    first = threading.Thread(target=work)
    first.start()
    assert inside.wait(20)
    with connect(database_url, name="second") as connection:
        seconds = []
        for _ in range(5):
            started = time.monotonic()
            assert catch_up(connection, products.PROJECTION, Pages([products.PROJECTION])) == 0
            seconds.append(time.monotonic() - started)
        assert min(seconds) < 0.05
        assert stored(connection, products.PRODUCTS) == []
        other = catch_up(connection, orders.PROJECTION, Pages([orders.PROJECTION]))
        assert other == len(STORY)
    may_go_on.set()
    first.join(20)
    assert position_of(database_url, products.PROJECTION) == len(STORY)


# A process that stops in the middle of a page, rows written and checkpoint not, and says so.
HALF_WAY = """
    import sys, time
    from event_store.connections import connect
    from projections import orders
    from projections.posting import engine, post_page as posting, row_sql
    from projections.posting.pages import Pages

    def stop(connection, table, rows, side):
        row_sql.write_rows(connection, table, rows[: len(rows) // 2], side)
        print("half", flush=True)
        time.sleep(60)

    posting.write_rows = stop
    with connect(sys.argv[1], name="victim") as connection:
        engine.catch_up(connection, orders.PROJECTION, Pages([orders.PROJECTION]))
"""


def test_a_process_killed_inside_a_page_leaves_nothing_half_applied(database_url: str) -> None:
    append(database_url, many_orders(50))
    source = Path(__file__).parents[2] / "src"
    program = [sys.executable, "-c", dedent(HALF_WAY), database_url]
    with subprocess.Popen(
        program, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(source)}
    ) as victim:
        assert victim.stdout is not None
        assert victim.stdout.readline() == b"half\n"
        victim.send_signal(signal.SIGKILL)
    with connect(database_url, name="test") as connection:
        assert stored(connection, orders.ORDERS) == []
        assert position_of(database_url, orders.PROJECTION) == 0
        deadline = time.monotonic() + 5
        shared = Pages([orders.PROJECTION])
        while not (step := catch_up(connection, orders.PROJECTION, shared)):
            assert time.monotonic() < deadline, "the lease did not pass on"
            time.sleep(0.05)
        assert step == 50
        assert len(stored(connection, orders.ORDERS)) == 50


# It has loaded what a worker needs, and lets a process of its own post each time it is asked to.
FORKING = """
    import os, sys
    from event_store.connections import connect
    from projections import sales_by_day
    from projections.posting import engine, pages, suspects

    pages.PAGE, suspects.PAUSE_SECONDS = 10, 0.01
    for _ in sys.stdin:
        process = os.fork()
        if not process:
            with connect(sys.argv[1], name="victim") as connection:
                print(os.getpid(), flush=True)
                known = pages.Pages([sales_by_day.PROJECTION])
                while not engine.catch_up(connection, sales_by_day.PROJECTION, known):
                    pass  # the one before has not been missed yet
            os._exit(0)
        os.waitpid(process, 0)
        print("over", flush=True)
"""


def test_a_worker_killed_at_twenty_random_moments_counts_nothing_twice_and_parks_nothing(
    database_url: str,
) -> None:
    append(database_url, many_orders(1_000))
    chance = random.Random(20)  # noqa: S311 - of no secret
    counted = "select coalesce(sum(orders), 0) from sales_by_day_v1"
    at = "select min(position) from projection_checkpoints where name = 'sales_by_day'"
    reached = [0]
    with (
        started(FORKING, database_url) as forking,
        psycopg.connect(database_url, autocommit=True) as connection,
    ):
        assert forking.stdin is not None
        assert forking.stdout is not None
        for _ in range(20):
            forking.stdin.write(b"post\n")
            forking.stdin.flush()
            victim = int(forking.stdout.readline())
            while reached[-1] < 1_000 and connection.execute(at).fetchone() == (reached[-1],):
                time.sleep(0.0005)
            time.sleep(chance.uniform(0, 0.005))
            with suppress(ProcessLookupError):
                os.kill(victim, signal.SIGKILL)
            assert forking.stdout.readline() == b"over\n"
            position = position_of(database_url, sales_by_day.PROJECTION)
            assert connection.execute(counted).fetchone() == (position,)
            reached.append(position)
        forking.stdin.close()
        assert reached == sorted(reached)
        assert 0 < reached[-1] < 1_000, "it was never killed in the middle of it"
        post(database_url, sales_by_day.PROJECTION)
        assert connection.execute(counted).fetchone() == (1_000,)
        assert failures(connection) == []


HUGE = Decimal("123456789012345678901234.5678")
TEXTS = ['"', "\\", "'", "a,b{}[]", "\t\n", "é\u0301", "灯\U0001f3ee", "null", "%s", "{NULL}"]


@pytest.mark.parametrize("text", TEXTS)
def test_texts_arrive_as_they_are(database_url: str, text: str) -> None:
    listed = ProductListed(text, text, Money(HUGE, "GBP"), 10**9)
    line = line_of(TEAPOT, text, text, 1, Money(Decimal("0.0001"), "GBP"), reserved=True)
    line_two = line_of(LANTERN, text, text, 1_000_000, Money(Decimal(10**11), "GBP"), reserved=True)
    placed = OrderPlaced(ALICE, NOON, (line, line_two), Money(HUGE, "GBP"))
    append(database_url, [(TEAPOT, listed), (ORDER, placed)])
    post(database_url, products.PROJECTION, orders.PROJECTION)
    with connect(database_url, name="test") as connection:
        (row,) = stored(connection, products.PRODUCTS)
        assert (row["sku"], row["name"], row["price"]) == (text, text, HUGE)
        (row,) = stored(connection, orders.ORDERS)
        assert row["total"] == HUGE
        assert [one["name"] for one in row["lines"]] == [text, text]
        assert row["lines"][0]["unitPrice"]["amount"] == "0.0001"
        assert row["lines"][1]["amount"]["amount"] == "100000000000000000.00"
        assert row["product_ids"] == sorted([TEAPOT, LANTERN])


def test_rows_are_found_by_all_parts_of_their_key(database_url: str) -> None:
    days = [NOON.date() - timedelta(days=number) for number in range(3)]
    rows = [
        {"day": day, "currency": code, "orders": 1, "units": 2**60, "revenue": HUGE}
        for day in days
        for code in ("GBP", "JPY")
    ]
    with connect(database_url, name="test") as connection:
        write_rows(connection, sales_by_day.SALES, rows)
        keys = [(days[0], "JPY"), (days[2], "GBP"), (days[2], "EUR")]
        found = read_rows(connection, sales_by_day.SALES, keys)
        assert sorted((row["day"], row["currency"]) for row in found) == [
            (days[2], "GBP"),
            (days[0], "JPY"),
        ]
        assert {(row["units"], row["revenue"]) for row in found} == {(2**60, HUGE)}


def test_a_row_that_is_not_there_cannot_be_changed() -> None:
    with pytest.raises(LookupError, match="products_v1 has no row"):
        Rows().change(products.PRODUCTS, UUID(int=1))


def test_a_flood_is_copied_beside_what_is_changed(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    placed = many_orders(30)
    paid = [(stream_id, OrderPaid("R-1", pounds("8.50"))) for stream_id, _ in placed[:10]]
    append(database_url, [*STORY, *placed[:10], *paid, *placed[10:]])
    post(database_url)
    at_once = everything(database_url)
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("update projection_checkpoints set position = 0")
        for table in at_once:
            connection.execute(f"truncate {table}".encode())
    copied: list[int] = []

    def noted(connection: Any, table: Any, rows: Sequence[Any], side: Any) -> None:
        copied.append(len(rows))
        copy_rows(connection, table, rows, side)

    monkeypatch.setattr(folding, "MANY_ROWS", 5)
    monkeypatch.setattr(posting, "copy_rows", noted)
    monkeypatch.setattr(pages, "PAGE", 32)  # ends among the payments, of which two are left
    post(database_url)
    assert sum(copied) > len(placed)
    assert everything(database_url) == at_once
