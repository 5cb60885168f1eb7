"""What adds up comes to the same whether Python folds it or Postgres adds it up."""

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from random import Random
from typing import Any
from uuid import UUID

import pytest
from psycopg import Connection
from psycopg.rows import TupleRow

from domain import order
from domain.money import Money
from event_store.connections import connect
from event_store.event_types import Event
from projections.posting import pages
from projections.posting import post_page as posting
from projections.posting.failures import failures
from projections.posting.post_page import UNFIT
from projections.posting.sums_sql import Addition, add_up
from projections.projection import PARTITIONS, Projection, partition_of
from projections.rebuilds import building
from projections.rebuilds.jobs import Rebuild, find, fold_by_key, start, unfinished
from projections.rebuilds.rebuild import Labour, labour
from projections.rows import Row
from projections.switched_on import PROJECTIONS
from tests.conftest import fresh_database, tampering
from tests.domain.given import ALICE, BOB, LANTERN, NOON, ORDER, TEAPOT, pounds
from tests.projections.given import (
    SALE,
    SECOND_ORDER,
    STORY,
    TOTAL,
    Story,
    append,
    everything,
    many_orders,
    post,
    stored,
)

SUMMED = [one for one in PROJECTIONS.values() if one.sums is not None]
UNDONE = [
    (ORDER, order.OrderRefunded("broken", TOTAL, SALE)),
    (SECOND_ORDER, order.OrderRefunded("twice", pounds("8.50"), None)),
]
BY_DAY = PROJECTIONS["sales_by_day"]

DAMAGES = {
    "no moment": "data - 'placed_at'",
    "no lines": "data - 'lines'",
    "a line without a quantity": "data #- '{lines,0,quantity}'",
    "lines that are none": "jsonb_set(data, '{lines}', '7')",
    "no currency": "data #- '{total,currency}'",
    "no amount": "data #- '{total,amount}'",
    "a day that there is not": "jsonb_set(data, '{placed_at}', to_jsonb('2026-02-30'::text))",
}


def damage(database_url: str, stream_id: UUID, changed: str) -> None:
    """Change the first event of a stream as nobody may."""
    change = f"update events set {changed} where stream_id = %s and version = 1"  # noqa: S608 - our own words
    with tampering(database_url) as connection:
        assert connection.execute(change.encode(), [stream_id]).rowcount == 1


def random_sales(seed: int) -> Story:
    """Return sales of all kinds, some of them undone, on days and in currencies that recur."""
    chance = Random(seed)  # noqa: S311 - the same each time
    story: list[tuple[UUID, order.Event]] = []
    for number in range(60):
        currency = chance.choice(["GBP", "JPY", "EUR"])
        lines = tuple(
            order.line_of(
                chance.choice([TEAPOT, LANTERN]), "SKU", "Name", chance.randint(1, 10**6),
                Money(Decimal(chance.randint(1, 10**9)) / 10**4, currency), reserved=True,
            )
            for _ in range(chance.randint(1, 4))
        )  # fmt: skip
        stream_id, user_id = UUID(int=(2 << 100) + number), chance.choice([ALICE, BOB])
        day = NOON + timedelta(hours=chance.randint(-60, 60))
        sale = order.Sale(user_id, day, order.total_of(lines, currency), lines)
        if chance.random() < 0.5:
            story += [(stream_id, order.OrderPlaced(user_id, day, lines, sale.total))]
            undone: list[Event] = chance.choice(
                [
                    [],
                    [order.OrderCancelled("no", sale)],
                    [order.OrderRefunded("no", sale.total, sale)],
                    [order.OrderCancelled("no", sale), order.OrderRefunded("no", sale.total, None)],
                ]
            )
            story += [(stream_id, event) for event in undone]
        else:
            story += [(stream_id, order.OrderImported("1", user_id, day, lines, sale.total))]
    return story


@pytest.fixture
def added(monkeypatch: pytest.MonkeyPatch) -> list[Addition]:
    """Let few events be many, and give what was added up by Postgres."""
    for name in ("PAGE", "ADDED_UP"):
        monkeypatch.setattr(pages, name, 5)
    done: list[Addition] = []

    def noted(connection: Connection[TupleRow], addition: Addition, *more: Any) -> None:
        add_up(connection, addition, *more)
        done.append(addition)

    monkeypatch.setattr(posting, "add_up", noted)
    return done


def sums_of(connection: Connection[TupleRow], projection: Projection, side: str) -> list[Row]:
    """Return the sums that a side has."""
    assert projection.sums is not None
    schema = {"live": "public", "building": "building"}[side]
    connection.execute(f"set search_path = {schema}".encode())
    found = stored(connection, projection.sums.table)
    connection.execute("reset search_path")
    return found


def test_three_views_are_sums() -> None:
    assert {one.name for one in SUMMED} == {"sales_by_day", "sales_by_customer", "sales_by_product"}


@pytest.mark.parametrize("projection", SUMMED, ids=lambda one: one.name)
def test_postgres_adds_up_what_python_folds(database_url: str, projection: Projection) -> None:
    story = [*STORY, *UNDONE, *random_sales(7)]
    append(database_url, story)
    post(database_url, projection)
    with connect(database_url, name="test") as connection:
        start(connection, projection)
        for partition in range(PARTITIONS):  # each its own rows, of the log in two parts
            stretches = [(0, 7), (7, len(story))]
            add_up(connection, Addition(projection, stretches, [partition]), "building")
        live = sums_of(connection, projection, "live")
        assert sums_of(connection, projection, "building") == live
        texts = "select string_agg(t::text, ' ' order by t::text) from {} t"
        assert projection.sums is not None
        name = projection.sums.table.name
        shown = {
            connection.execute(texts.format(table).encode()).fetchone()
            for table in (f"public.{name}", f"building.{name}")
        }
        assert len(shown) == 1  # to the last decimal: rebuilds are compared by their text
        assert len(live) > 1


@pytest.fixture(scope="module")
def log(server_url: str, template_database: str) -> Iterator[str]:
    """Give a log that each test changes in a transaction, which it gives up."""
    with fresh_database(server_url, template_database) as url:
        append(url, [*STORY, *UNDONE])
        yield url


@pytest.mark.parametrize("damaged", DAMAGES.values(), ids=DAMAGES)
@pytest.mark.parametrize(
    "partitions", [range(PARTITIONS), [partition_of(NOON.date())]], ids=["all", "its partition"]
)
def test_an_event_that_lacks_something_is_not_added_up(
    log: str, damaged: str, partitions: list[int]
) -> None:
    with tampering(log) as connection:
        connection.execute("begin")
        connection.execute(
            f"update events set data = {damaged} where name = 'order.placed'".encode()  # noqa: S608 - our own words
        )
        with pytest.raises(UNFIT):
            add_up(connection, Addition(BY_DAY, [(0, len(STORY))], partitions), "live")
        connection.execute("rollback")


@pytest.mark.parametrize(
    ("changed", "name"),
    [
        ("schema_version = 9", "order.placed"),
        ("data = data - 'sale'", "order.refunded"),
        ("data = jsonb_set(data, '{sale}', 'null')", "order.cancelled"),
    ],
)
def test_an_event_that_has_to_be_understood_first_is_not_added_up(
    log: str, changed: str, name: str
) -> None:
    with tampering(log) as connection:
        connection.execute("begin")
        connection.execute(f"update events set {changed} where name = '{name}'".encode())  # noqa: S608 - our own words
        with pytest.raises(UNFIT):
            add_up(connection, Addition(BY_DAY, [(0, len(STORY) + len(UNDONE))]), "live")
        connection.execute("rollback")


@pytest.mark.parametrize("projection", SUMMED, ids=lambda one: one.name)
def test_a_flood_is_added_up_and_its_end_is_folded(
    database_url: str, projection: Projection, added: list[Addition]
) -> None:
    append(database_url, [*STORY, *UNDONE])
    post(database_url, projection)
    assert added
    by_postgres = everything(database_url)
    added.clear()
    with tampering(database_url) as connection:
        connection.execute("update projection_checkpoints set position = 0")
        for table in projection.tables:
            connection.execute(f"truncate {table.name}".encode())
    post(database_url, replace(projection, sums=None))
    assert not added
    assert everything(database_url) == by_postgres


def test_what_cannot_be_added_up_in_a_flood_is_parked_and_the_rest_goes_on(
    database_url: str, added: list[Addition]
) -> None:
    append(database_url, [*STORY, *many_orders(30)])
    post(database_url, replace(BY_DAY, sums=None))
    live = everything(database_url)["sales_by_day_v1"]
    with tampering(database_url) as connection:
        connection.execute("update projection_checkpoints set position = 0")
        connection.execute("truncate sales_by_day_v1")
    damage(database_url, UUID(int=(1 << 100) + 29), "data = '{}'")
    post(database_url, BY_DAY)
    assert added
    with connect(database_url, name="test") as connection:
        assert {one.position for one in failures(connection)} == {len(STORY) + 30}
        rows = stored(connection, BY_DAY.tables[0])
    (day,) = [row for row in live if row not in rows]  # that order's day, which has one less
    (less,) = [row for row in rows if row not in live]
    assert (day["day"], day["orders"]) == (less["day"], less["orders"] + 1)


def in_stripes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let stripes be so narrow that a small log has many."""
    monkeypatch.setattr(building, "STRIPE", 3)
    monkeypatch.setattr(building, "MOST_ADDED_UP", 12)


@pytest.mark.parametrize("builders", [1, 2, 3])
@pytest.mark.parametrize("projection", SUMMED, ids=lambda one: one.name)
def test_builders_share_the_log_in_stripes(
    database_url: str, projection: Projection, builders: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_stripes(monkeypatch)
    append(database_url, [*STORY, *UNDONE, *many_orders(20)])
    post(database_url)
    live = everything(database_url)
    job = built(database_url, projection, builders)
    assert (job.state, job.striped) == ("done", True)
    assert job.comparison is not None
    assert job.comparison.equal
    assert everything(database_url) == live


def built(database_url: str, projection: Projection, builders: int, **how: Any) -> Rebuild:
    """Let some builders take turns at a rebuild; return what became of it."""
    with ExitStack() as stack:
        connections = [
            stack.enter_context(connect(database_url, name="builder")) for _ in range(builders)
        ]
        job = start(connections[0], projection, **how)
        crew = [
            stack.enter_context(labour(one, {projection.name: projection})) for one in connections
        ]
        ends = time.monotonic() + 30
        while unfinished(connections[0]):
            assert time.monotonic() < ends
            if not any(map(Labour.step, crew, connections)):
                time.sleep(0.01)
        return find(connections[0], job.id)


def test_a_rebuild_folds_by_key_what_cannot_be_added_up(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_stripes(monkeypatch)
    append(database_url, [*STORY, *many_orders(30)])
    post(database_url)
    damage(database_url, UUID(int=(1 << 100) + 29), "data = '{}'")
    job = built(database_url, BY_DAY, 2, on_failure="park", dry_run=True)
    assert not job.striped
    assert job.comparison is not None
    assert job.comparison.tables[0].live_rows == job.comparison.tables[0].new_rows
    (difference,) = job.comparison.tables[0].differences
    live, new = (json.loads(str(one))["orders"] for one in (difference.live, difference.new))
    assert new == live - 1
    job = built(database_url, BY_DAY, 2)
    assert job.state == "failed"
    assert f"Event {len(STORY) + 30} cannot be applied" in str(job.error)


def test_who_added_up_before_a_rebuild_began_anew_can_write_nothing(database_url: str) -> None:
    append(database_url, STORY)
    with (
        connect(database_url, name="test") as connection,
        connect(database_url, name="other") as other,
        labour(other, {BY_DAY.name: BY_DAY}) as late,
    ):
        job = start(connection, BY_DAY)
        while not late._crew.leases(BY_DAY, "building"):
            late._crew.beat(other)
        fold_by_key(connection, BY_DAY, job)
        assert not late._step(other, BY_DAY, job)
        assert sums_of(connection, BY_DAY, "building") == []
        late._crew.beat(other)
        assert not late._step(other, BY_DAY, job)
        assert sums_of(connection, BY_DAY, "building") == []
