"""What lists cost: a filter in an order reads few rows of a filled table, counting included."""

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import permutations, product
from typing import Any
from uuid import UUID

import pytest
from msgspec import structs
from psycopg import AsyncConnection, Connection
from psycopg.rows import TupleRow

from event_store.connections import connect
from projections import orders, products, users
from projections.listing import Listing, Page, Request, Stretch, place_of, values_of
from projections.reading import list_sql, queries
from projections.reading.list_sql import Shape, expected_sql, page_sql
from projections.reading.queries import list_rows, list_stretch
from projections.reading.totals import Totals
from tests.conftest import fresh_database
from tests.projections.filled import fill

USERS, PRODUCTS, ORDERS = 20_000, 20_000, 40_000
# Small beside the tables, so that going through one of them shows.
COUNTED, FEW, LIMIT, MOST_READ = 1_000, 500, 20, 8_000

LAST_USER, LAST_PRODUCT = UUID(int=USERS - 5), UUID(int=(1 << 28) + PRODUCTS - 5)
RARE: dict[Listing, dict[str, Any]] = {
    users.LISTING: {"email": "7777@example", "role": "admin", "status": "closed"},
    products.LISTING: {
        "sku": "SKU-77",
        "name": "LAMP 777",
        "minPrice": Decimal(999),
        "maxPrice": Decimal("0.50"),
        "inStock": False,
        "status": "withdrawn",
    },
    orders.LISTING: {
        "status": "refunded",
        "userId": LAST_USER,
        "placedFrom": datetime(2025, 1, 10, 5, tzinfo=UTC),
        "placedTo": datetime(2025, 1, 1, 1, tzinfo=UTC),
        "minTotal": Decimal(9_990),
        "maxTotal": Decimal(5),
        "productId": LAST_PRODUCT,
    },
}
COMMON: dict[Listing, dict[str, Any]] = {
    users.LISTING: {"email": "@EXAMPLE", "role": "customer", "status": "active"},
    products.LISTING: {
        "sku": "SKU-78",
        "name": "lamp",
        "minPrice": Decimal(1),
        "maxPrice": Decimal(900),
        "inStock": True,
        "status": "for_sale",
    },
    orders.LISTING: {
        "status": "delivered",
        "userId": UUID(int=2),
        "placedFrom": datetime(2025, 1, 2, tzinfo=UTC),
        "placedTo": datetime(2026, 1, 1, tzinfo=UTC),
        "minTotal": Decimal(1),
        "maxTotal": Decimal(9_995),
        "productId": UUID(int=(1 << 28) + 2),
    },
}


@pytest.fixture(scope="module")
def filled(server_url: str, template_database: str) -> Iterator[Connection[TupleRow]]:
    """Give a connection, as lists have it, to filled tables."""
    with (
        fresh_database(server_url, template_database) as url,
        connect(url, name="test") as connection,
    ):
        fill(connection, users=USERS, products=PRODUCTS, orders=ORDERS)
        connection.execute("set plan_cache_mode = force_custom_plan")
        connection.execute("set max_parallel_workers_per_gather = 0")
        yield connection


@pytest.fixture
def few_counted(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Count less far, as the tables are small."""
    monkeypatch.setattr(list_sql, "COUNTED", COUNTED)
    monkeypatch.setattr(list_sql, "FEW", FEW)
    page_sql.cache_clear()
    yield
    page_sql.cache_clear()


def rows_read(
    connection: Connection[TupleRow], shown: Listing, filters: dict[str, Any], sort: str, end: str
) -> int:
    """Return how many rows the statement of a list took up, whether it used them or not."""
    sql, constants = page_sql(shown, Shape(tuple(sorted(filters)), sort, end == "desc"))
    values = values_of(shown, filters) | {"page_limit": LIMIT, "page_offset": 0}
    statement = f"explain (analyze, timing off, buffers off, format json) {sql}"
    row = connection.execute(statement.encode(), constants | values).fetchone()
    assert row is not None
    return sum(taken_up(row[0][0]["Plan"]))


def taken_up(plan: dict[str, Any]) -> Iterator[int]:
    """Yield the rows that each scan of a plan took up."""
    if "Scan" in plan["Node Type"] and "Subquery" not in plan["Node Type"]:
        removed = ("Rows Removed by Filter", "Rows Removed by Index Recheck")
        rows = plan["Actual Rows"] + sum(plan.get(name, 0) for name in removed)
        yield round(rows * plan["Actual Loops"])
    for inner in plan.get("Plans", ()):
        yield from taken_up(inner)


LISTINGS = [users.LISTING, products.LISTING, orders.LISTING]


@pytest.mark.usefixtures("few_counted")
@pytest.mark.parametrize("shown", LISTINGS, ids=lambda one: one.projection.name)
def test_each_filter_in_each_order_reads_few_rows(
    filled: Connection[TupleRow], shown: Listing
) -> None:
    asked: list[dict[str, Any]] = [{}]
    for values in (RARE[shown], COMMON[shown]):
        assert set(values) == set(shown.filters)
        asked += [{name: value} for name, value in values.items()]
    asked += [
        {rare: RARE[shown][rare], common: COMMON[shown][common]}
        for rare, common in permutations(shown.filters, 2)
    ]
    costs = {
        (json.dumps(filters, default=str), sort, end): rows_read(filled, shown, filters, sort, end)
        for filters in asked
        for sort in shown.sorts
        for end in (("asc", "desc") if len(filters) < 2 else ("desc",))
    }
    assert {shape: cost for shape, cost in costs.items() if cost > MOST_READ} == {}


def test_the_judge_sees_a_table_that_is_read_through(filled: Connection[TupleRow]) -> None:
    explain = "explain (analyze, timing off, buffers off, format json)"
    looking = " select * from users_v2 where name like '%no%'"
    found = filled.execute((explain + looking).encode()).fetchone()
    assert found is not None
    assert sum(taken_up(found[0][0]["Plan"])) == USERS


def test_a_total_is_counted_up_to_a_bound_and_estimated_beyond(
    filled: Connection[TupleRow], monkeypatch: pytest.MonkeyPatch
) -> None:
    def page(limit: int, **filters: object) -> Page:
        monkeypatch.setattr(list_sql, "COUNTED", limit)
        monkeypatch.setattr(queries, "COUNTED", limit)
        page_sql.cache_clear()
        asked = Request(
            filters=dict(filters), sort_by="placedAt", descending=True, limit=5, offset=0
        )
        return asyncio.run(ask(filled.info.dsn, asked))

    counted = page(50_000)
    assert (counted.total, counted.counted) == (ORDERS, True)
    estimated = page(COUNTED)
    assert not estimated.counted
    assert ORDERS * 0.9 < estimated.total < ORDERS * 1.1
    few = page(COUNTED, status="refunded")
    assert (few.total, few.counted) == (ORDERS // 5_000, True)
    page_sql.cache_clear()


def test_an_estimate_is_used_again_and_nothing_is_counted_meanwhile(
    filled: Connection[TupleRow],
) -> None:
    totals = Totals()
    totals.note(orders.LISTING, {"status": "delivered"}, 123_456)
    for page in (0, 7_000):
        asked = asking({"status": "delivered"}, offset=page)
        found = asyncio.run(ask(filled.info.dsn, asked, totals))
        assert (len(found.rows), found.total, found.counted) == (5, 123_456, False)
    for filters in ({"status": "refunded"}, {"status": "shipped"}, {}):
        found = asyncio.run(ask(filled.info.dsn, asking(filters), totals))
        assert found.counted
        assert found.total != 123_456
    totals.note(orders.LISTING, {"status": "refunded"}, 123_456)  # and they became few
    found = asyncio.run(ask(filled.info.dsn, asking({"status": "refunded"}), totals))
    assert (found.total, found.counted) == (ORDERS // 5_000, True)


@pytest.mark.parametrize("shown", LISTINGS, ids=lambda one: one.projection.name)
def test_what_is_few_is_sorted_as_what_is_walked(
    filled: Connection[TupleRow], monkeypatch: pytest.MonkeyPatch, shown: Listing
) -> None:
    for sort, descending in product(shown.sorts, (True, False)):
        pages = []
        for few in (0, USERS):
            monkeypatch.setattr(list_sql, "FEW", few)
            page_sql.cache_clear()
            asked = asking({"status": RARE[shown]["status"]}, sort, descending=descending, offset=2)
            found = asyncio.run(ask(filled.info.dsn, asked, shown=shown))
            assert len(found.rows) > 2
            pages.append((found.total, [(row["id"], row["by_0"]) for row in found.rows]))
        assert pages[0] == pages[1]
    page_sql.cache_clear()


def test_nothing_is_looked_for_between_ends_that_are_the_wrong_way_round(
    filled: Connection[TupleRow],
) -> None:
    for shown, filters in (
        (products.LISTING, {"minPrice": Decimal(500), "maxPrice": Decimal(400)}),
        (orders.LISTING, {"minTotal": Decimal(500), "maxTotal": Decimal(400)}),
        (orders.LISTING, {"placedFrom": NOON, "placedTo": NOON - timedelta(days=1)}),
    ):
        assert rows_read(filled, shown, filters, "updatedAt", "desc") < 100
        found = asyncio.run(ask(filled.info.dsn, asking(filters), shown=shown))
        assert (found.rows, found.total) == ([], 0)


@pytest.mark.parametrize(
    "text", ["7777@example", "a17@EXAMPLE.com", "@example", "77@", "e%@x", "_"]
)
def test_an_address_is_found_as_by_all_of_the_text(filled: Connection[TupleRow], text: str) -> None:
    plain = "select count(*) from users_v2 where strpos(lower(email), lower(%s)) > 0"
    assert filled.execute(plain, [text]).fetchone() == (total_of_users(filled, text),)


def test_a_provider_is_not_looked_for_in_the_index(filled: Connection[TupleRow]) -> None:
    sql, constants = expected_sql(users.LISTING, ("email",))
    looking = sql.replace("format json", "analyze, timing off, buffers, format json")

    def pages(text: str) -> int:
        values = values_of(users.LISTING, {"email": text})
        found = filled.execute(looking.encode(), constants | values).fetchone()
        assert found is not None
        blocks: int = found[0][0]["Plan"]["Shared Hit Blocks"]
        return blocks

    pages("7777@")  # so that all of them are in memory
    assert pages("7777@example.com") <= pages("7777@") + 5


def total_of_users(connection: Connection[TupleRow], email: str) -> int:
    asked = Request(filters={"email": email}, sort_by="email", descending=True, limit=1, offset=0)
    return asyncio.run(ask(connection.info.dsn, asked, shown=users.LISTING)).total


NOON = datetime(2025, 1, 5, 12, tzinfo=UTC)


def asking(
    filters: dict[str, Any], sort: str = "updatedAt", *, descending: bool = True, offset: int = 0
) -> Request:
    return Request(filters=filters, sort_by=sort, descending=descending, limit=5, offset=offset)


async def ask(
    dsn: str, asked: Request, totals: Totals | None = None, shown: Listing = orders.LISTING
) -> Page:
    async with await AsyncConnection.connect(dsn, autocommit=True) as connection:
        return await list_rows(connection, shown, asked, totals)


@pytest.mark.parametrize("shown", LISTINGS, ids=lambda one: one.projection.name)
def test_stretches_lead_through_every_row_once_there_and_back(
    filled: Connection[TupleRow], shown: Listing
) -> None:
    filters = {"status": RARE[shown]["status"]}
    for sort, descending in product(shown.sorts, (True, False)):
        asked = Stretch(filters=filters, sort_by=sort, descending=descending, limit=3)
        there = asyncio.run(walk(filled.info.dsn, shown, asked))
        assert len(there) == len(set(there)) > 3, sort
        back = structs.replace(asked, backwards=True)
        assert asyncio.run(walk(filled.info.dsn, shown, back)) == there, sort


async def walk(dsn: str, shown: Listing, asked: Stretch) -> list[UUID]:
    """Return the ids of a list in its order, fetched in stretches from one of its ends."""
    found: list[UUID] = []
    async with await AsyncConnection.connect(dsn, autocommit=True) as connection:
        while True:
            part = await list_stretch(connection, shown, asked)
            ids = [row["id"] for row in part.rows]
            found = [*ids, *found] if asked.backwards else [*found, *ids]
            if not part.more:
                return found
            end = part.rows[0 if asked.backwards else -1]
            asked = structs.replace(asked, place=place_of(shown, asked.sort_by, end))
