"""Where the views' tests begin: a story of events, in memory and in the log."""

import asyncio
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any
from uuid import UUID

import msgspec
from psycopg import Connection
from psycopg.rows import TupleRow, dict_row
from sqlalchemy import Table

from domain import order, product, session, user
from event_store.connections import connect
from event_store.event_types import Event
from event_store.records import Append, Recorded, StreamChange
from event_store.store import EventStore
from projections.posting.engine import catch_up
from projections.posting.pages import Pages
from projections.projection import Projection, Row, Rows, fold_page
from projections.switched_on import PROJECTIONS
from tests.domain.given import ALICE, BOB, LANTERN, NOON, ORDER, TEAPOT, pounds
from tests.event_store.given import appending, command, keyring

SESSION = UUID("01900000-0000-7000-8000-000000005e55")
OTHER_SESSION = UUID("01900000-0000-7000-8000-000000005e56")
INVOICE = UUID("01900000-0000-7000-8000-00000000c0df")
SECOND_ORDER = UUID("01900000-0000-7000-8000-00000000c0e0")
LATE = datetime(2026, 11, 22, 23, 59, 59, 999_999, UTC)
LAMP = 'Lämp "big" \\ 灯 \U0001f3ee'
NEXT_MONTH = NOON + timedelta(days=30)

Story = Sequence[tuple[UUID, Event]]

TEAPOTS = order.line_of(TEAPOT, "TEA-1", "Teapot", 2, pounds("4.25"), reserved=True)
LANTERNS = order.line_of(LANTERN, "LAN-1", "Lantern", 3, pounds("0.0125"), reserved=False)
LINES = (TEAPOTS, LANTERNS)
TOTAL = order.total_of(LINES, "GBP")
SALE = order.Sale(ALICE, NOON, TOTAL, LINES)
SECOND_SALE = order.Sale(ALICE, NOON, pounds("8.50"), (TEAPOTS,))

STORY: Story = [
    (ALICE, user.UserRegistered("alice@example.com", "Alice", "hash", "customer")),
    (BOB, user.UserImported("customer-1@imported.invalid", "Customer 1", "1")),
    (TEAPOT, product.ProductListed("TEA-1", "Teapot", pounds("4.25"), 10)),
    (LANTERN, product.ProductListed("LAN-1", LAMP, pounds("0.0125"), None)),
    (SESSION, session.SessionStarted(ALICE, 1, "token", NEXT_MONTH)),
    (OTHER_SESSION, session.SessionStarted(ALICE, 1, "token", NEXT_MONTH)),
    (ORDER, order.OrderPlaced(ALICE, NOON, LINES, TOTAL)),
    (TEAPOT, product.StockReserved(ORDER, 2)),
    (ORDER, order.OrderPaid("R-1", TOTAL)),
    (ORDER, order.OrderNoteAdded('Say "hello"\nand ünïcode \\ too')),
    (INVOICE, order.OrderImported("536365", BOB, LATE, (TEAPOTS,), pounds("8.50"))),
    (ORDER, order.OrderShipped("Royal Mail", "RM1")),
    (ORDER, order.OrderDelivered()),
    (SECOND_ORDER, order.OrderPlaced(ALICE, NOON, (TEAPOTS,), pounds("8.50"))),
    (SECOND_ORDER, order.OrderCancelled("twice", SECOND_SALE)),
    (TEAPOT, product.StockReleased(SECOND_ORDER, 2)),
    (TEAPOT, product.StockAdjusted(-1, "broken")),
    (TEAPOT, product.ProductRenamed("Blue teapot")),
    (TEAPOT, product.ProductRepriced(pounds("5.00"))),
    (ALICE, user.UserRenamed("Alice A.")),
    (ALICE, user.UserEmailChanged("a@example.com")),
    (ALICE, user.UserPasswordChanged("hash", SESSION)),
    (ALICE, user.UserPasswordRehashed("harder")),
    (LANTERN, product.ProductWithdrawn()),
]  # fmt: skip


def recorded(story: Story) -> list[Recorded]:
    """Return the events as the log would hold them, all of them at noon."""
    versions: dict[UUID, int] = {}
    found = []
    for position, (stream_id, event) in enumerate(story, 1):
        versions[stream_id] = versions.get(stream_id, 0) + 1
        found.append(Recorded(position, stream_id, versions[stream_id], event, NOON, NOON))
    return found


def rows_of(projection: Projection, story: Story) -> Rows:
    """Fold those events of a story that a projection listens to."""
    wanted = tuple(projection.events)
    events = [one for one in recorded(story) if isinstance(one.event, wanted)]
    return fold_page(projection, Rows(), events)


def append(database_url: str, story: Story, *, after: int = 0) -> None:
    """Put a story into a log that has so many events of it already, one command an event."""

    async def in_order() -> None:
        async with appending(database_url) as appender:
            for one in islice(commands(story), after, None):
                await appender.append(one)

    asyncio.run(in_order())


def append_sealed(database_url: str, story: Story, subject: UUID) -> None:
    """Put a story into an empty log as commands do, all that is personal in it about one person."""

    async def in_order() -> None:
        store = EventStore(database_url, keys=keyring(), on_append=lambda _: None)
        await store.open()
        try:
            for one in commands(story):
                [change] = one.changes
                about = msgspec.structs.replace(change, subject=subject)
                await store.append(msgspec.structs.replace(one, changes=(about,)))
        finally:
            await store.close()

    asyncio.run(in_order())


def commands(story: Story) -> Iterable[Append]:
    """Return what appends the events of a story."""
    for one in recorded(story):
        change = StreamChange(one.stream_id, "order", one.version - 1, (one.event,))
        yield command(change)


def many_orders(count: int, *, first: int = 0) -> Story:
    """Return orders of one customer over some days."""
    return [
        (
            UUID(int=(1 << 100) + first + number),
            order.OrderPlaced(ALICE, NOON + timedelta(days=number % 3), (TEAPOTS,), pounds("8.50")),
        )
        for number in range(count)
    ]


def post(database_url: str, *projections: Projection) -> None:
    """Bring views up to date, all of them if none is named."""
    with connect(database_url, name="test") as connection:
        for projection in projections or PROJECTIONS.values():
            catch_up(connection, projection, Pages([projection], keyring()))


def stored(connection: Connection[TupleRow], table: Table) -> list[Row]:
    """Return all rows of a table in the order of their keys."""
    key = ", ".join(column.name for column in table.primary_key)
    with connection.cursor(row_factory=dict_row) as cursor:
        cursor.execute(f"select * from {table.name} order by {key}".encode())  # noqa: S608 - our own names
        return cursor.fetchall()


def everything(database_url: str) -> dict[str, list[Row]]:
    """Return all rows of all views."""
    with connect(database_url, name="test") as connection:
        return {
            table.name: stored(connection, table)
            for projection in PROJECTIONS.values()
            for table in projection.tables
        }


def position_of(database_url: str, projection: Projection) -> int:
    """Return how far a view has come."""
    with connect(database_url, name="test") as connection:
        row = connection.execute(
            "select min(position) from projection_checkpoints where name = %s and side = 'live'",
            [projection.name],
        ).fetchone()
    assert row is not None
    found: int = row[0]
    return found


def only(rows: Rows, table: Table, *key: Any) -> Row:
    """Return one row that is there."""
    row = rows.find(table, *key)
    assert row is not None
    return row
