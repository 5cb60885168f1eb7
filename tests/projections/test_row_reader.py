"""Single rows are read in groups: each caller gets its own row, none older than the question."""

import asyncio
from uuid import uuid4

from event_store.connections import pool
from event_store.records import StoreUnavailable
from projections.products import PRODUCTS, PROJECTION
from projections.reading.row_reader import RowReader
from tests.event_store.given import rows

NEW = """
insert into products_v1 (id, sku, name, currency, price, status, created_at, updated_at, version)
values (%s, %s, 'Tea', 'GBP', 1, 'for_sale', now(), now(), 1)
"""


def listed(database_url: str, count: int) -> list[object]:
    ids: list[object] = [uuid4() for _ in range(count)]
    for one in ids:
        rows(database_url, f"{NEW} returning id", one, str(one))
    return ids


def test_of_many_who_ask_at_once_each_gets_its_own_row(database_url: str) -> None:
    """Also when most of them go away before they are answered."""

    async def ask() -> None:
        ids = listed(database_url, 300)
        async with pool(database_url, name="test", size=1) as connections:
            reader = RowReader(connections, PROJECTION, PRODUCTS)
            first = asyncio.create_task(reader.read(ids[0]))
            await asyncio.sleep(0)
            hasty = [asyncio.create_task(reader.read(one)) for one in ids * 3]
            patient = [asyncio.create_task(reader.read(one)) for one in (*ids, *ids, uuid4())]
            await asyncio.sleep(0)
            for task in hasty:
                task.cancel()
            found = await asyncio.gather(*patient)
            assert [one.row and one.row["id"] for one in found] == [*ids, *ids, None]
            assert (await first).row is not None

    asyncio.run(ask())


def test_a_row_is_read_after_it_was_asked_for(database_url: str) -> None:
    """Who asks while a statement is under way is not content with what that one finds."""
    [one] = listed(database_url, 1)

    async def ask() -> None:
        async with pool(database_url, name="test", size=1) as connections:
            reader = RowReader(connections, PROJECTION, PRODUCTS)
            for version in range(2, 12):
                earlier = asyncio.create_task(reader.read(one))
                await asyncio.sleep(0.0005 * (version % 4))
                change = "update products_v1 set version = %s where id = %s returning id"
                await asyncio.to_thread(rows, database_url, change, version, one)
                seen = await reader.read(one)
                assert seen.row is not None
                assert seen.row["version"] == version
                await earlier

    asyncio.run(ask())


def test_who_asks_while_postgres_is_away_is_told_so_and_the_next_is_answered(
    database_url: str,
) -> None:
    [one] = listed(database_url, 1)
    end = "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'gone'"

    async def ask() -> None:
        async with pool(database_url, name="gone", size=1) as connections:
            reader = RowReader(connections, PROJECTION, PRODUCTS)
            await reader.read(one)
            await asyncio.to_thread(rows, database_url, end)
            told = await asyncio.gather(
                *(reader.read(one) for _ in range(5)), return_exceptions=True
            )
            assert all(isinstance(answer, StoreUnavailable) for answer in told)
            assert (await reader.read(one)).row is not None

    asyncio.run(ask())
