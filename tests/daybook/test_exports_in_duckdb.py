"""Exports are read in DuckDB by the lines that the documents show, over orders of a shop."""

import asyncio
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import duckdb

from daybook.notary import attest
from event_store.connections import connect
from tests.commands.given import asking, listed, paid, placed, registered, working_on
from tests.daybook.conftest import Typed
from tests.event_store.evidence.given import SEED
from tests.event_store.given import rows

DOCUMENT = Path(__file__).parents[2] / "docs" / "audit.md"
TIMES = """
select name, count(*), min(occurred_at), max(occurred_at) from events group by name
 order by 2 desc, 1
"""


async def shop(database_url: str) -> tuple[UUID, UUID]:
    """Let two people order, one of them three times; return them."""
    async with working_on(database_url) as tools:
        alice, bob = await registered(tools), await registered(tools, "bob@example.com")
        teapot = await listed(tools)
        for buyer in (bob, alice, alice, alice):
            order = await placed(tools, asking("customer", buyer), (teapot, 1))
        await paid(tools, order.id)
    return alice, bob


def test_duckdb_reads_exports_by_the_lines_of_the_documents(
    database_url: str, tmp_path: Path, typed: Typed
) -> None:
    alice, bob = asyncio.run(shop(database_url))
    with connect(database_url, name="test") as connection:
        attest(connection, (SEED,), tmp_path / "var" / "audit", timedelta(0))
    for name in ("orders.jsonl", "year.parquet", "events.csv"):
        told = typed("audit", "export", str(tmp_path / name))
        assert told.returncode == 0, told
    text = DOCUMENT.read_text(encoding="utf-8")
    block = text.partition("DuckDB reads all three as they are:")[2].partition("\n\n## ")[0]
    statements = [one.strip() for one in block.split(";") if one.strip()]
    assert len(statements) == 2
    with duckdb.connect(config={"file_search_path": str(tmp_path)}) as connection:
        connection.execute("set timezone = 'UTC'")
        grouped, customers = (connection.execute(one).fetchall() for one in statements)
        counted = connection.execute("select count(*) from 'events.csv'").fetchone()
    there = rows(database_url, TIMES)
    assert ("order.placed", 4) in {one[:2] for one in there}
    assert [count for _, count, *_ in grouped] == sorted((one[1] for one in there), reverse=True)
    times = {(name, count, first, last) for name, count, first, last in there}
    assert {tuple(one) for one in grouped} == times
    assert customers == [(str(alice), 3), (str(bob), 1)]
    assert counted == (sum(count for _, count, *_ in there),)
