"""A row that a first event makes is the same whether Python folds it or Postgres makes it."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from itertools import groupby
from random import Random
from uuid import UUID

import pytest

from domain import order
from domain.money import MINOR_UNITS, Money
from event_store.connections import connect
from event_store.event_types import Event
from event_store.records import Recorded
from projections import orders
from projections.posting.failures import failures
from projections.posting.openings_sql import open_rows
from projections.projection import OwnRow, Rows
from projections.rebuilds import building
from projections.rebuilds.jobs import find, start
from projections.rebuilds.rebuild import carry_out
from projections.switched_on import PROJECTIONS
from tests.domain.given import ALICE, BOB, LANTERN, NOON, TEAPOT, pounds
from tests.projections.given import STORY, Story, append, everything, many_orders, post, stored
from tests.projections.test_sums import DAMAGES, built, damage

ORDERS = orders.PROJECTION
NAMES = ("Teapot", 'Lämp "big" \\ 灯', "tab\tin it", "it's")

DAMAGED = {
    "no buyer": "data - 'user_id'",
    "a line without a name": "data #- '{lines,0,name}'",
    "a line without a price": "data #- '{lines,0,unit_price}'",
    "a price that is none": "jsonb_set(data, '{lines,0,unit_price}', to_jsonb('much'::text))",
    **DAMAGES,
}


def random_orders(seed: int) -> Story:
    """Return orders of one to four lines in all kinds of currencies; every third is paid."""
    chance = Random(seed)  # noqa: S311 - the same each time
    story: list[tuple[UUID, Event]] = []
    for number in range(60):
        currency = chance.choice(["GBP", "EUR", *MINOR_UNITS])
        lines = tuple(
            order.line_of(
                chance.choice([TEAPOT, LANTERN, UUID(int=chance.getrandbits(128))]),
                f"SKU-{chance.randint(1, 9)}", chance.choice(NAMES), chance.randint(1, 10**6),
                Money(Decimal(chance.randint(1, 10**9)).scaleb(-chance.randint(0, 4)), currency),
                reserved=chance.random() < 0.5,
            )
            for _ in range(chance.randint(1, 4))
        )  # fmt: skip
        stream_id, user_id = UUID(int=(2 << 100) + number), chance.choice([ALICE, BOB])
        day, total = (
            NOON + timedelta(seconds=chance.random() * 1e7),
            order.total_of(lines, currency),
        )
        if chance.random() < 0.5:
            story.append((stream_id, order.OrderPlaced(user_id, day, lines, total)))
        else:
            story.append((stream_id, order.OrderImported(str(number), user_id, day, lines, total)))
        if number % 3 == 0:
            story.append((stream_id, order.OrderPaid("R", total)))
    return story


def in_stripes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let stripes be so narrow that a small log has many."""
    monkeypatch.setattr(building, "STRIPE", 3)
    monkeypatch.setattr(building, "MOST_OPENED", 12)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_postgres_makes_the_rows_that_python_folds(database_url: str, seed: int) -> None:
    append(database_url, [*STORY, *random_orders(seed)])
    post(database_url, ORDERS)
    [(head,)] = rows_at(database_url, "select max(position) from events")
    with connect(database_url, name="test") as connection:
        live = {row["id"]: row for row in stored(connection, orders.ORDERS)}
        start(connection, ORDERS)
        open_rows(connection, orders.OPENING, [(0, head)], head, "building")
        connection.execute("set search_path = building")
        made = {row["id"]: row for row in stored(connection, orders.ORDERS)}
    alone = rows_at(
        database_url,
        "select min(stream_id::text)::uuid from events where name like 'order.%'"
        " group by stream_id having count(*) = 1",
    )
    assert set(made) == {one for (one,) in alone}
    assert len(made) > 40
    assert made == {one: live[one] for one in made}


def rows_at(database_url: str, query: str) -> list[tuple[object, ...]]:
    """Ask the database."""
    with connect(database_url, name="test") as connection:
        return connection.execute(query.encode()).fetchall()


@pytest.mark.parametrize("builders", [1, 2, 3])
def test_only_streams_with_more_events_are_folded(
    database_url: str, builders: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_stripes(monkeypatch)
    story = [*STORY, *random_orders(4), *many_orders(20)]
    append(database_url, story)
    post(database_url)
    live = everything(database_url)
    folded: list[UUID] = []

    def fold(rows: Rows, recorded: Recorded) -> None:
        folded.append(recorded.stream_id)
        orders.fold(rows, recorded)

    job = built(database_url, replace(ORDERS, fold=fold), builders)
    assert (job.state, job.striped) == ("done", True)
    assert job.comparison is not None
    assert job.comparison.equal
    assert everything(database_url) == live
    events = Counter(one for one, event in story if type(event) in ORDERS.event_types)
    assert Counter(folded) == {one: count for one, count in events.items() if count > 1}
    assert len(list(groupby(folded))) == len(set(folded)), "each stream is folded as a whole"


def test_a_second_event_that_comes_after_the_rebuild_began_finds_the_row(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_stripes(monkeypatch)
    story = many_orders(20)
    append(database_url, story)
    total = pounds("8.50")
    paid = [(stream_id, order.OrderPaid("R", total)) for stream_id, _ in story[::2]]
    with connect(database_url, name="test") as connection:
        job = start(connection, ORDERS)
        append(database_url, [*story, *paid], after=len(story))
        post(database_url)
        carry_out(connection, ORDERS, job, lambda *_: None)
        job = find(connection, job.id)
    assert job.comparison is not None
    assert job.comparison.equal
    states = Counter(row["status"] for row in everything(database_url)["orders_v1"])
    assert states == {"placed": 10, "paid": 10}


@pytest.mark.parametrize("change", DAMAGED.values(), ids=list(DAMAGED))
def test_what_lacks_something_is_folded_and_parked(database_url: str, change: str) -> None:
    append(database_url, many_orders(6))
    damage(database_url, UUID(int=(1 << 100) + 3), f"data = {change}")
    job = built(database_url, ORDERS, 1, on_failure="park")
    assert (job.state, job.failures) == ("done", 1)
    with connect(database_url, name="test") as connection:
        assert [one.position for one in failures(connection, "orders")] == [4]
        assert len(stored(connection, orders.ORDERS)) == 5


def test_a_stream_that_begins_as_none_does_is_not_passed_over(database_url: str) -> None:
    """Nobody appends one; a first event whose name was altered makes one."""
    story = many_orders(6)
    paid = (story[3][0], order.OrderPaid("R", pounds("8.50")))
    append(database_url, [*story, paid])
    damage(database_url, story[3][0], "name = 'session.ended', data = '{}'")
    job = built(database_url, ORDERS, 1, on_failure="park")
    assert (job.state, job.striped) == ("done", False)
    with connect(database_url, name="test") as connection:
        assert [one.position for one in failures(connection, "orders")] == [7]
        assert len(stored(connection, orders.ORDERS)) == 5


def test_views_that_say_what_opens_a_row_have_one_a_stream() -> None:
    opened = [one for one in PROJECTIONS.values() if one.opening is not None]
    assert [one.name for one in opened] == ["orders"]
    assert all(isinstance(one.needs, OwnRow) for one in opened)
