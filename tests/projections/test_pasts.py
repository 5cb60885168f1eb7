"""A list as of a position is the list of a view that was posted up to there and no further."""

import asyncio
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg import Connection
from psycopg.rows import TupleRow

from domain import order, product, session, user
from event_store.connections import connect, connect_async
from event_store.event_types import Event
from event_store.history.accesses import Access
from event_store.history.passed import NotYet
from projections import orders, products, sales_by_customer, sales_by_day, sales_by_product, users
from projections.listing import Listing, Page, Request
from projections.pasts import building as past_building
from projections.pasts import few_streams as past_few
from projections.pasts.building import Archivist
from projections.pasts.lists import Moment, NoPlace, PastPage, Pasts, Underway
from projections.pasts.register import drop_unused, unfinished
from projections.reading.queries import list_rows
from projections.rebuilds import built_rows
from projections.switched_on import PROJECTIONS
from tests.domain.given import NOON, pounds
from tests.projections.given import ALICE, STORY, append, many_orders, post
from tests.projections.sessions import closed_session

ACCESS = Access("auditor", "auditor", "request", "list_as_of", {})
LISTINGS: dict[str, Listing] = {
    "orders": orders.LISTING,
    "products": products.LISTING,
    "users": users.LISTING,
    "sales by day": sales_by_day.LISTING,
    "sales by product": sales_by_product.LISTING,
    "sales by customer": sales_by_customer.LISTING,
}
FILTERS: dict[str, list[dict[str, Any]]] = {
    "orders": [{"status": "paid"}, {"userId": UUID(int=1)}, {"minTotal": Decimal(20)}],
    "products": [{"status": "withdrawn"}, {"inStock": False}, {"name": "b"}],
    "users": [{"role": "staff"}, {"status": "closed"}],
    "sales by day": [{"from": NOON.date() + timedelta(days=1)}],
    "sales by product": [{"to": NOON.date()}],
    "sales by customer": [{"from": NOON.date(), "to": NOON.date()}],
}


class Shop:
    """Tells a story by chance: whatever may happen next in a shop, one event after the other."""

    def __init__(self, seed: int) -> None:
        self._chance = Random(seed)  # noqa: S311 - a story, to be told again
        self._people: dict[UUID, set[str]] = {}
        self._products: dict[UUID, bool] = {}
        self._orders: dict[UUID, tuple[str, order.Sale]] = {}
        self._next = 0

    def story(self, length: int) -> list[tuple[UUID, Event]]:
        """Return so many events."""
        return [self._event(number) for number in range(length)]

    def _event(self, number: int) -> tuple[UUID, Event]:
        if number == 0 or self._chance.random() < 0.1:
            return self._registers()
        if not self._products or self._chance.random() < 0.1:
            return self._lists()
        what = self._chance.choice([self._orders_placed, self._goes_on, self._goes_on, self._else])
        return what()

    def _new(self) -> UUID:
        self._next += 1
        return UUID(int=self._next)

    def _registers(self) -> tuple[UUID, Event]:
        one = self._new()
        self._people[one] = set()
        role = self._chance.choice(["customer", "staff"])
        email = f"{self._chance.random()}@example.com"
        return one, user.UserRegistered(email, f"Person {one.int % 7}", "hash", role)

    def _lists(self) -> tuple[UUID, Event]:
        one = self._new()
        self._products[one] = True
        stock = self._chance.choice([None, 0, 5])
        price = pounds(str(self._chance.randint(1, 20)))
        return one, product.ProductListed(f"SKU-{one.int}", self._name(), price, stock)

    def _name(self) -> str:
        return self._chance.choice(["apple", "bulb", "cup"])

    def _orders_placed(self) -> tuple[UUID, Event]:
        who, what = self._chance.choice(list(self._people)), self._chance.choice([*self._products])
        quantity = self._chance.randint(1, 5)
        lines = (order.line_of(what, "SKU", "Thing", quantity, pounds("4.25"), reserved=False),)
        placed = NOON + timedelta(hours=self._chance.randint(0, 72))
        sale = order.Sale(who, placed, order.total_of(lines, "GBP"), lines)
        one = self._new()
        self._orders[one] = ("placed", sale)
        return one, order.OrderPlaced(who, placed, lines, sale.total)

    def _goes_on(self) -> tuple[UUID, Event]:
        if not self._orders:
            return self._orders_placed()
        one = self._chance.choice(list(self._orders))
        state, sale = self._orders[one]
        options: list[tuple[str, Event]] = {
            "placed": [
                ("paid", order.OrderPaid("R", sale.total)),
                ("cancelled", order.OrderCancelled("no", sale)),
            ],
            "paid": [
                ("shipped", order.OrderShipped("Post", "RM1")),
                ("refunded", order.OrderRefunded("no", sale.total, sale)),
            ],
        }.get(state, [(state, order.OrderNoteAdded("Called."))])
        state, event = self._chance.choice(options)
        self._orders[one] = (state, sale)
        return one, event

    def _else(self) -> tuple[UUID, Event]:
        if self._chance.random() < 0.5:
            one = self._chance.choice(list(self._products))
            return one, self._chance.choice(
                [
                    product.ProductRenamed(self._name()),
                    product.ProductRepriced(pounds(str(self._chance.randint(1, 20)))),
                    product.ProductWithdrawn(),
                ]
            )
        one = self._chance.choice(list(self._people))
        if self._chance.random() < 0.4:
            return self._new(), session.SessionStarted(one, 1, "token", NOON + timedelta(days=9))
        return one, self._chance.choice(
            [
                user.UserRenamed(self._name()),
                user.UserRoleChanged("staff", "customer"),
                user.UserClosed(),
            ]
        )


def requests(name: str) -> Iterable[Request]:
    """Return a first or second page in every order and direction, and some with filters."""
    listing = LISTINGS[name]
    for sort_by in listing.sorts:
        for descending, offset in ((True, 0), (False, 3)):
            yield Request(sort_by=sort_by, descending=descending, limit=3, offset=offset)
    for filters in FILTERS[name]:
        yield Request(
            filters=filters, sort_by=listing.default_sort, descending=True, limit=50, offset=0
        )


Lists = dict[str, list[Page]]


async def live_lists(database_url: str) -> Lists:
    """Return what the live views answer."""
    connection = await connect_async(database_url, name="test")
    try:
        return {
            name: [await list_rows(connection, listing, one) for one in requests(name)]
            for name, listing in LISTINGS.items()
        }
    finally:
        await connection.close()


async def past_lists(pasts: Pasts, connection: Connection[TupleRow], moment: Moment) -> Lists:
    """Return what the same lists were."""
    found: Lists = {}
    for name, listing in LISTINGS.items():
        found[name] = []
        for one in requests(name):
            asked = await pasts.list(listing, one, moment, ACCESS, 0)
            if isinstance(asked, Underway):
                make(connection)
                asked = await pasts.list(listing, one, moment, ACCESS, 0)
            assert isinstance(asked, PastPage)
            found[name].append(asked.page)
    return found


def make(connection: Connection[TupleRow]) -> None:
    """Make the pasts that are asked for, as a worker's builder does."""
    archivist = Archivist(PROJECTIONS)
    while archivist.step(connection):
        pass


def let_go(database_url: str) -> None:
    """Let all places be free, as if nobody had used what is in them for a while."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("update pasts set used_at = used_at - interval '2 minutes'")


def content(lists: Lists) -> list[Any]:
    """Return what lists hold, without how far the view has come by now."""
    return [
        (name, [{**row, "list_position": 0} for row in page.rows], page.total, page.counted)
        for name, pages in lists.items()
        for page in pages
    ]


@pytest.mark.parametrize("seed", [1, 2])
def test_a_list_as_of_a_position_is_the_list_of_a_view_posted_up_to_there(
    database_url: str, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(past_building, "PAGE", 7)
    monkeypatch.setattr(built_rows, "MOST_ROWS", 12)
    story = Shop(seed).story(90)
    ends = sorted({*Random(seed).sample(range(1, 90), 2), 90})  # noqa: S311 - to be repeated
    expected, done = {}, 0
    for end in ends:
        append(database_url, story[:end], after=done)
        post(database_url)
        expected[end] = asyncio.run(live_lists(database_url))
        done = end

    async def ask() -> None:
        async with Pasts(database_url) as pasts:
            with connect(database_url, name="test builder", statement_ms=60_000) as connection:
                # Each is made from the first event on, and then from the one before it.
                for end in [*reversed(ends), *ends]:
                    let_go(database_url)
                    if end == ends[0]:
                        connection.execute("delete from pasts")
                    found = await past_lists(pasts, connection, Moment(end, happened=False))
                    assert content(found) == content(expected[end])
                    assert {page.position for pages in found.values() for page in pages} == {end}

    asyncio.run(ask())
    assert any(page.total > 3 for page in expected[ends[-1]]["orders"])


FEW: list[tuple[str, dict[str, Any]]] = [
    ("orders", {"userId": "first"}),
    ("orders", {"userId": "first", "status": "paid"}),
    ("orders", {"userId": UUID(int=999_999)}),
    ("orders", {"productId": "first"}),
    ("products", {"sku": "first"}),
]


@pytest.mark.parametrize("most", [1_000, 0])
def test_a_list_of_a_few_streams_is_answered_without_making_a_past_if_they_are_few(
    database_url: str, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(past_few, "MOST_STREAMS", most)
    story = Shop(1).story(120)
    append(database_url, story[:100])
    post(database_url)
    placed = next(event for _, event in story if isinstance(event, order.OrderPlaced))
    listed = placed.lines[0].product_id
    first = {"userId": placed.user_id, "productId": listed, "sku": f"SKU-{listed.int}"}

    async def ask() -> None:
        connection = await connect_async(database_url, name="test")
        async with Pasts(database_url) as pasts:
            now = datetime.now(UTC)
            for happened in (False, True):
                for name, filters in FEW:
                    listing = LISTINGS[name]
                    given = {k: first[k] if v == "first" else v for k, v in filters.items()}
                    request = Request(
                        filters=given,
                        sort_by=listing.default_sort,
                        descending=True,
                        limit=3,
                        offset=0,
                    )
                    end = now if happened else 100
                    found = await pasts.list(listing, request, Moment(end, happened), ACCESS, 0)
                    is_empty = given.get("userId") == UUID(int=999_999)
                    if not most and not is_empty:
                        assert isinstance(found, Underway)
                        continue
                    expected = await list_rows(connection, listing, request)
                    assert isinstance(found, PastPage)
                    assert content({name: [found.page]}) == content({name: [expected]})
                    assert "status" in given or bool(expected.total) is not is_empty
        count = await (await connection.execute("select count(*) from pasts")).fetchone()
        assert count == ((0,) if most else (4,))
        noted = await connection.execute("select count(*) from audit_accesses")
        assert await noted.fetchone() == ((10,) if most else (6,))
        await connection.close()

    asyncio.run(ask())


def test_a_list_of_few_streams_stops_at_its_position(database_url: str) -> None:
    append(database_url, [STORY[0], *many_orders(3)])

    async def ask() -> None:
        async with Pasts(database_url) as pasts:
            for end in (1, 2, 4):
                request = Request(
                    filters={"userId": ALICE}, sort_by="total", descending=True, limit=9, offset=0
                )
                moment = Moment(end, happened=False)
                found = await pasts.list(orders.LISTING, request, moment, ACCESS, 0)
                assert isinstance(found, PastPage)
                assert (found.page.total, found.page.position) == (end - 1, end)

    asyncio.run(ask())


async def asked(
    pasts: Pasts, end: int | datetime, *, happened: bool = False
) -> PastPage | Underway:
    """Ask for the orders as they were."""
    first = Request(sort_by="placedAt", descending=True, limit=50, offset=0)
    return await pasts.list(orders.LISTING, first, Moment(end, happened), ACCESS, 0)


def test_a_moment_means_what_was_recorded_or_had_happened(database_url: str) -> None:
    append(database_url, [STORY[0], *many_orders(3)])
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("set session_replication_role = replica")
        connection.execute("update events set occurred_at = '2010-05-05' where position in (3, 4)")
        rows = connection.execute("select recorded_at from events order by position").fetchall()

    async def ask() -> None:
        async with Pasts(database_url) as pasts:
            with connect(database_url, name="test builder", statement_ms=60_000) as builder:
                for end, happened, count in (
                    (rows[2][0], False, 2),
                    (rows[2][0] - timedelta(microseconds=1), False, 1),
                    (datetime(2010, 5, 6, tzinfo=UTC), True, 2),
                    (datetime(2010, 5, 4, tzinfo=UTC), True, 0),
                ):
                    assert isinstance(await asked(pasts, end, happened=happened), Underway)
                    make(builder)
                    found = await asked(pasts, end, happened=happened)
                    assert isinstance(found, PastPage)
                    assert len(found.page.rows) == found.page.total == count

    asyncio.run(ask())


def test_what_is_imported_afterwards_shows_after_ten_minutes_in_what_had_happened(
    database_url: str,
) -> None:
    append(database_url, [STORY[0], *many_orders(3)])
    moment = datetime.now(UTC)

    async def count(pasts: Pasts, builder: Connection[TupleRow]) -> int:
        if isinstance(await asked(pasts, moment, happened=True), Underway):
            make(builder)
        found = await asked(pasts, moment, happened=True)
        assert isinstance(found, PastPage)
        return found.page.total

    async def ask() -> None:
        async with Pasts(database_url) as pasts:
            with connect(database_url, name="test builder", statement_ms=60_000) as builder:
                assert await count(pasts, builder) == 3
                await asyncio.to_thread(append, database_url, [STORY[0], *many_orders(4)], after=4)
                with psycopg.connect(database_url, autocommit=True) as late:
                    late.execute("set session_replication_role = replica")
                    late.execute("update events set occurred_at = '2010-05-05' where position = 5")
                for age, shown in (("9 minutes", 3), ("1 minute", 4)):
                    builder.execute("update pasts set asked_at = asked_at - %s::interval", [age])
                    assert await count(pasts, builder) == shown

    asyncio.run(ask())


def test_what_has_not_come_yet_is_not_answered(database_url: str) -> None:
    append(database_url, STORY)

    async def ask() -> None:
        async with Pasts(database_url) as pasts:
            for end in (len(STORY) + 1, datetime.now(UTC) + timedelta(minutes=1)):
                with pytest.raises(NotYet) as caught:
                    await asked(pasts, end)
                assert caught.value.end == len(STORY)

    asyncio.run(ask())


def test_places_are_taken_again_but_never_from_who_reads(database_url: str) -> None:
    append(database_url, [STORY[0], *many_orders(14)])

    async def ask() -> None:
        async with Pasts(database_url) as pasts:
            for end in range(1, 13):
                assert isinstance(await asked(pasts, end), Underway)
            with pytest.raises(NoPlace):
                await asked(pasts, 13)
            with connect(database_url, name="test builder", statement_ms=60_000) as builder:
                make(builder)
                with pytest.raises(NoPlace):
                    await asked(pasts, 13)
                let_go(database_url)
                assert isinstance(await asked(pasts, 13), Underway)
                make(builder)
                assert unfinished(builder) == []
                found = await asked(pasts, 13)
                assert isinstance(found, PastPage)
                assert len(found.page.rows) == 12
                builder.execute("update pasts set used_at = used_at - interval '2 hours'")
                assert drop_unused(builder) == 12
                tables = "select count(*) from pg_tables where schemaname like 'past%'"
                assert builder.execute(tables).fetchone() == (0,)

    asyncio.run(ask())


def test_a_past_whose_maker_died_is_made_by_another(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(past_building, "PAGE", 3)
    monkeypatch.setattr(past_building, "MOST_SECONDS", 0.001)
    append(database_url, [STORY[0], *many_orders(9)])

    async def ask() -> None:
        async with Pasts(database_url) as pasts:
            assert isinstance(await asked(pasts, 10), Underway)
            with closed_session(database_url, "test dies", statement_ms=60_000) as dying:
                assert Archivist(PROJECTIONS).step(dying)
                with connect(database_url, name="test other", statement_ms=60_000) as other:
                    assert not Archivist(PROJECTIONS).step(other)  # somebody is at it
            with connect(database_url, name="test other", statement_ms=60_000) as other:
                make(other)
            found = await asked(pasts, 10)
            assert isinstance(found, PastPage)
            assert found.page.total == 9

    asyncio.run(ask())


def test_an_event_that_cannot_be_applied_keeps_back_its_own_row_alone(database_url: str) -> None:
    stray = (UUID(int=99), order.OrderPaid("R", pounds("1")))
    story = [STORY[0], *many_orders(2), stray, *many_orders(3, first=10)]
    append(database_url, story)

    async def ask() -> None:
        async with Pasts(database_url) as pasts:
            await asked(pasts, len(story))
            with connect(database_url, name="test builder", statement_ms=60_000) as builder:
                make(builder)
            found = await asked(pasts, len(story))
            assert isinstance(found, PastPage)
            assert found.page.total == 5

    asyncio.run(ask())
