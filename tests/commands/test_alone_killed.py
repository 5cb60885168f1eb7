"""A command that has the log alone, killed between any two lines: done once, or not at all."""

import asyncio
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import msgspec

from commands import execution
from commands.execution import _attempt_alone, execute
from commands.products.adjust_stock import AdjustStock, adjust_stock
from commands.work import Asker
from event_store import appender
from event_store.records import IdempotencyKey
from tests.commands.given import STAFF, listed, working_on
from tests.event_store.given import rows
from tests.killing import killed_at_each_line

EVENTS = "select count(*) from events where stream_id = %s"
KEPT = datetime(2999, 1, 1, tzinfo=UTC)
SOON_SECONDS = 4


def test_who_has_the_log_alone_and_is_killed_between_any_two_lines_did_it_once_or_not(
    database_url: str, tmp_path: Path
) -> None:
    """Nobody waits for the dead, and who asks again under the same key finds it done once."""
    answered = tmp_path / "answered"
    product_id = asyncio.run(offered(database_url))
    request = AdjustStock(product_id=product_id, quantity=1, reason="found")
    found: Counter[tuple[int, bool]] = Counter()
    asker, events = STAFF, 1

    async def alone() -> None:
        async with working_on(database_url) as tools:
            await _attempt_alone(tools, asker, adjust_stock, request)

    async def once_more() -> None:
        async with working_on(database_url) as tools:
            async with asyncio.timeout(SOON_SECONDS):
                await execute(tools, asker, adjust_stock, request)

    def before() -> None:
        nonlocal asker
        asker = under_key(f"adjustment-{events}")
        answered.unlink(missing_ok=True)

    def act() -> None:
        asyncio.run(alone())
        answered.write_text("done", encoding="utf-8")

    def after() -> None:
        nonlocal events
        found[stored(database_url, product_id) - events, answered.exists()] += 1
        asyncio.run(once_more())
        events += 1
        assert stored(database_url, product_id) == events

    kills = killed_at_each_line(act, [execution, appender], before=before, after=after)
    assert kills > 30
    # Not done; done, and its asker does not know; done and answered.
    assert set(found) == {(0, False), (1, False), (1, True)}


async def offered(database_url: str) -> UUID:
    """Offer a product and return its id."""
    async with working_on(database_url) as tools:
        return await listed(tools)


def under_key(key: str) -> Asker:
    """Return somebody whose repetitions are known."""
    named = IdempotencyKey(STAFF.actor_id, key, "the same", KEPT)
    return msgspec.structs.replace(STAFF, key=named)


def stored(database_url: str, stream_id: UUID) -> int:
    """Return how many events a stream has."""
    [(count,)] = rows(database_url, EVENTS, stream_id)
    return int(count)
