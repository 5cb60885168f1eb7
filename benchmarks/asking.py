"""Auditors' questions over a long log: each condition alone and with others, from both ends."""

import random
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from statistics import median, quantiles
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
from psycopg import AsyncConnection
from psycopg.rows import class_row

from benchmarks.findings import Finding
from event_store.connections import connect_async
from event_store.history.questions import Question
from event_store.history.search import find

PAGE = 20
ASKED = 100
P99_MS = 500.0  # nobody waits for a page of history

EVENTS = """
select position, stream_id, stream_type, name, actor_id, actor_role, request_id, correlation_id,
       command, occurred_at, recorded_at
  from events where position = any(%s)
"""
# Of orders alone: who bought what, and under which payment.
ORDERS = """
select distinct on (stream_id)
       data ->> 'user_id' as user_id, data -> 'lines' -> 0 ->> 'sku' as sku,
       (data -> 'lines' -> 0 ->> 'quantity') as quantity, position, occurred_at
  from events where name = 'order.placed' and position = any(%s)
"""


class Seen(NamedTuple):
    """An event that is asked about."""

    position: int
    stream_id: UUID
    stream_type: str
    name: str
    actor_id: str
    actor_role: str
    request_id: str
    correlation_id: str
    command: str
    occurred_at: Any
    recorded_at: Any


class Bought(NamedTuple):
    """What is asked about an order."""

    user_id: str
    sku: str
    quantity: str
    position: int
    occurred_at: Any


DAY, HOUR = timedelta(days=1), timedelta(hours=1)

ABOUT_EVENTS: dict[str, Callable[[Seen], Question]] = {
    "nothing": lambda _: Question(),
    "stream": lambda one: Question(stream_id=one.stream_id),
    "stream type": lambda one: Question(facts={"stream_type": one.stream_type}),
    "event name": lambda one: Question(facts={"name": one.name}),
    "actor": lambda one: Question(facts={"actor_id": one.actor_id}),
    "actor's role": lambda one: Question(facts={"actor_role": one.actor_role}),
    "command": lambda one: Question(facts={"command": one.command}),
    "request": lambda one: Question(facts={"request_id": one.request_id}),
    "correlation": lambda one: Question(facts={"correlation_id": one.correlation_id}),
    "cause": lambda one: Question(facts={"causation_id": str(one.position)}),
    "an hour of happening": lambda one: Question(
        occurred=(one.occurred_at, one.occurred_at + HOUR)
    ),
    "an hour of recording": lambda one: Question(
        recorded=(one.recorded_at, one.recorded_at + HOUR)
    ),
    "positions": lambda one: Question(positions=(one.position, one.position + 1_000)),
    "name + actor": lambda one: Question(facts={"name": one.name, "actor_id": one.actor_id}),
    "name + another's role": lambda one: Question(
        facts={"name": "order.paid", "actor_role": "customer", "command": one.command}
    ),
    "stream type + command + a day of happening": lambda one: Question(
        facts={"stream_type": one.stream_type, "command": one.command},
        occurred=(one.occurred_at, one.occurred_at + DAY),
    ),
    "actor + a day of recording + positions": lambda one: Question(
        facts={"actor_id": one.actor_id},
        recorded=(one.recorded_at - DAY, one.recorded_at + DAY),
        positions=(max(1, one.position - 5_000), one.position + 5_000),
    ),
    "correlation + name": lambda one: Question(
        facts={"correlation_id": one.correlation_id, "name": "order.paid"}
    ),
    "stream + name": lambda one: Question(stream_id=one.stream_id, facts={"name": one.name}),
    "a value that is nowhere": lambda one: Question(data={"data.lines.sku": one.request_id}),
}
ABOUT_ORDERS: dict[str, Callable[[Bought], Question]] = {
    "subject": lambda one: Question(subject=UUID(one.user_id)),
    "data.lines.sku": lambda one: Question(data={"data.lines.sku": one.sku}),
    "data.lines.quantity (a number)": lambda one: Question(
        data={"data.lines.quantity": one.quantity}
    ),
    "two values inside": lambda one: Question(
        data={"data.lines.sku": one.sku, "data.lines.quantity": one.quantity}
    ),
    "subject + name": lambda one: Question(
        subject=UUID(one.user_id), facts={"name": "order.placed"}
    ),
    "subject + value inside + a month of happening": lambda one: Question(
        subject=UUID(one.user_id),
        data={"data.lines.sku": one.sku},
        occurred=(one.occurred_at - 15 * DAY, one.occurred_at + 15 * DAY),
    ),
    "name + value inside + positions": lambda one: Question(
        facts={"name": "order.placed"},
        data={"data.lines.sku": one.sku},
        positions=(None, one.position + 1),
    ),
}


async def questions(part: str, url: str, size: int) -> list[Finding]:
    """Ask each kind of question for a page, from the newest event and from the oldest."""
    connection = await connect_async(url, name="bench")
    chance = random.Random(1)  # noqa: S311 - to be repeated
    some = [chance.randint(1, size) for _ in range(30 * ASKED)]
    try:
        return [
            await question(connection, part, what, asked)
            for what, asked in [
                *kinds(await known(connection, EVENTS, some[:ASKED], Seen), ABOUT_EVENTS),
                *kinds((await known(connection, ORDERS, some, Bought))[:ASKED], ABOUT_ORDERS),
            ]
        ]
    finally:
        await connection.close()


async def known(
    connection: AsyncConnection[Any], query: str, positions: list[int], kind: type[Any]
) -> list[Any]:
    """Return what is to be asked about."""
    async with connection.cursor(row_factory=class_row(kind)) as cursor:
        await cursor.execute(query.encode(), [positions])
        return await cursor.fetchall()


def kinds(
    seen: list[Any], about: dict[str, Callable[[Any], Question]]
) -> Iterator[tuple[str, list[Question]]]:
    """Yield the questions of each kind."""
    for what, make in about.items():
        yield what, [make(one) for one in seen]


async def question(
    connection: AsyncConnection[Any], part: str, what: str, asked: list[Question]
) -> Finding:
    """Say how long pages of one kind take, the newest first; and the oldest first."""
    newest = [await taken(connection, one) for one in asked]
    oldest = [
        await taken(connection, msgspec.structs.replace(one, descending=False)) for one in asked
    ]
    p99 = quantiles(newest, n=100)[98]
    oldest_p99 = quantiles(oldest, n=100)[98]
    return Finding(
        part=part,
        what=f"a page by {what}: p99",
        unit="ms",
        values=[max(p99, oldest_p99)],
        notes={"p50": median(newest), "oldest first p50": median(oldest), "p99": oldest_p99},
        target=P99_MS,
        at_most=True,
    )


async def taken(connection: AsyncConnection[Any], one: Question) -> float:
    """Return how many milliseconds a page takes."""
    began = time.perf_counter()
    await find(connection, one, PAGE)
    return (time.perf_counter() - began) * 1_000
