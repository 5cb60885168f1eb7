"""Lists of views as they were: the very statements of the lists, over the tables of a past."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import msgspec
from psycopg import AsyncConnection, sql
from psycopg.errors import ReadOnlySqlTransaction
from psycopg.rows import TupleRow, class_row

from event_store.connections import Pooled, borrowed, pool
from event_store.history import accesses
from event_store.history.accesses import Access
from event_store.history.passed import head_if_passed
from event_store.history.search import first_since, one
from event_store.privacy.forgotten import forgotten_of, veiled
from projections.listing import Listing, Page, Request
from projections.pasts.few_streams import page_of_few
from projections.pasts.register import COLUMNS, FRESH, LOCK, SAFE, Kept
from projections.projection import Projection, Row
from projections.reading.queries import list_rows

SECONDS_BETWEEN_LOOKS = 0.1
SMALLEST_STEP = timedelta(microseconds=1)

REPLICA = "select pg_is_in_recovery()"
RECORDED = "select recorded_at from events where position = %s"
# Whoever reads the tables of a past holds its row: nobody else gets the place until he is done.
FIND = f"""
select {COLUMNS} from pasts
 where name = %(name)s and version = %(version)s and happened is not distinct from %(happened)s
   and state <> 'failed'
   and (upto = %(upto)s or happened is not null
                           and asked_at > clock_timestamp() - interval '{FRESH}')
 order by id limit 1
   for share
"""  # noqa: S608 - our own names
USE = """
update pasts set used_at = clock_timestamp()
 where id = %s and used_at < clock_timestamp() - interval '5 seconds'
"""
ALONE = f"select pg_advisory_xact_lock({LOCK}, 0)"
FREE = f"""
select slot from generate_series(1, 12) as slot
  left join pasts p using (slot)
 where p.slot is null or p.state = 'failed'
    or (p.state = 'ready' and p.used_at < clock_timestamp() - interval '{SAFE}')
 order by p.used_at nulls first limit 1
"""  # noqa: S608 - our own names
REMOVE = "delete from pasts where slot = %s"
INSERT = f"""
insert into pasts (slot, name, version, upto, happened) values (%s, %s, %s, %s, %s)
returning {COLUMNS}
"""  # noqa: S608 - our own names


class NoPlace(Exception):  # noqa: N818 - an answer of the register
    """All places are taken by pasts that are being made, or read right now."""


class Moment(NamedTuple):
    """A position, or a moment: what was recorded, or had happened, by then."""

    end: int | datetime
    happened: bool


class PastPage(NamedTuple):
    """A page of a list as it was, and when that was."""

    page: Page
    at: datetime


class Underway(msgspec.Struct, frozen=True, rename="camel"):
    """A past that is being made: positions folded, positions to fold, a guess of the time left."""

    state: str
    position: int
    target: int
    seconds_left: int | None


class Pasts(Pooled):
    """Answers lists as they were; everything raises `StoreUnavailable` in the end.

    Entered, it has a pool of connections to the primary; Postgres may be away then and come later.
    """

    def __init__(self, database_url: str, *, readers: int = 2) -> None:
        super().__init__(
            pool(
                database_url,
                name="daybook pasts",
                size=readers,
                plan_cache_mode="force_custom_plan",
            )
        )

    async def list(
        self, listing: Listing, request: Request, moment: Moment, access: Access, seconds: float
    ) -> PastPage | Underway:
        """Return a page as it was; or how far that past is made if it takes longer than this.

        It is recorded who asked. Raises `NotYet` and `NoPlace`.
        """
        ends = asyncio.get_running_loop().time() + seconds
        if (few := await self._few(listing, request, moment, access)) is not None:
            return few
        while True:
            async with self._transaction() as connection:
                past = await wanted(connection, listing.projection, moment, access)
                if past.state == "ready":
                    page = await page_of(connection, past, listing, request)
                    return await answered(connection, page, past.happened, access)
            if asyncio.get_running_loop().time() >= ends:
                return underway(past)
            await asyncio.sleep(SECONDS_BETWEEN_LOOKS)

    async def _few(
        self, listing: Listing, request: Request, moment: Moment, access: Access
    ) -> PastPage | None:
        """Return a page of a few streams, unless the whole view is there as it was."""
        if not listing.streams.keys() & request.filters:
            return None
        async with self._transaction() as connection:
            upto, happened = await resolved(connection, moment)
            past = await kept(connection, values_of(listing.projection, upto, happened))
            if past is not None and past.state == "ready":
                return None
            page = await page_of_few(connection, listing, request, upto, happened)
            if page is None:
                return None
            rows = await without_the_forgotten(connection, page.rows)
            page = msgspec.structs.replace(page, rows=rows)
            return await answered(connection, page, happened, access)

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[AsyncConnection[TupleRow]]:
        async with borrowed(self._pool) as connection, connection.transaction():
            yield connection


async def wanted(
    connection: AsyncConnection[TupleRow], projection: Projection, moment: Moment, access: Access
) -> Kept:
    """Return the past that is asked for, held; if there is none, have it made and record that."""
    upto, happened = await resolved(connection, moment)
    values = values_of(projection, upto, happened)
    for attempt in (1, 2):
        found = await kept(connection, values)
        if found is not None:
            if found.state == "ready":
                await connection.execute(USE, [found.id])
            return found
        if attempt == 1:
            await connection.execute(ALONE.encode())  # and another may have been faster
    await accesses.note_async(connection, access, 0)
    return await asked_for(connection, values)


def values_of(projection: Projection, upto: int, happened: datetime | None) -> dict[str, object]:
    """Return what a past is known by."""
    return {
        "name": projection.name,
        "version": projection.version,
        "upto": upto,
        "happened": happened,
    }


async def kept(connection: AsyncConnection[TupleRow], values: dict[str, object]) -> Kept | None:
    """Return the past that is asked for, held; None if there is none."""
    async with connection.cursor(row_factory=class_row(Kept)) as cursor:
        await cursor.execute(FIND.encode(), values)
        return await cursor.fetchone()


async def answered(
    connection: AsyncConnection[TupleRow], page: Page, happened: datetime | None, access: Access
) -> PastPage:
    """Record that a page was given, and give it with when that was."""
    await accesses.note_async(connection, access, len(page.rows))
    return PastPage(page, happened or await recorded(connection, page.position))


async def resolved(
    connection: AsyncConnection[TupleRow], moment: Moment
) -> tuple[int, datetime | None]:
    """Return up to which position is looked, and the moment by which it has to have happened."""
    if await one(connection, REPLICA):
        raise ReadOnlySqlTransaction  # as inserting would say, but tables are not there either
    head = await head_if_passed(connection, moment.end)
    if isinstance(moment.end, int):
        return moment.end, None
    if moment.happened:
        return head, moment.end
    return await first_since(connection, moment.end + SMALLEST_STEP, head) - 1, None


async def asked_for(connection: AsyncConnection[TupleRow], values: dict[str, object]) -> Kept:
    """Have a past made: in a place that is free, or in that of the one unused for longest."""
    row = await (await connection.execute(FREE.encode())).fetchone()
    if row is None:
        raise NoPlace
    await connection.execute(REMOVE, [row[0]])
    async with connection.cursor(row_factory=class_row(Kept)) as cursor:
        await cursor.execute(INSERT.encode(), [row[0], *values.values()])
        made = await cursor.fetchone()
    assert made is not None  # noqa: S101 - it was inserted
    return made


async def page_of(
    connection: AsyncConnection[TupleRow], past: Kept, listing: Listing, request: Request
) -> Page:
    """Return a page of the tables of a past, of whom is forgotten by now nothing."""
    path = sql.SQL("set local search_path = {}, public").format(sql.Identifier(past.place))
    await connection.execute(path)
    page = await list_rows(connection, listing, request)
    rows = await without_the_forgotten(connection, page.rows)
    return msgspec.structs.replace(page, rows=rows, position=past.upto)


async def without_the_forgotten(
    connection: AsyncConnection[TupleRow], rows: list[Row]
) -> list[Row]:
    """Return rows with `FORGOTTEN` for what is sealed and can never be opened again."""
    texts = [value for row in rows for value in row.values() if isinstance(value, str)]
    gone = await forgotten_of(connection, texts)
    if not gone:
        return rows
    return [
        {k: veiled(gone, v) if isinstance(v, str) else v for k, v in row.items()} for row in rows
    ]


async def recorded(connection: AsyncConnection[TupleRow], position: int) -> datetime:
    """Return when the event at a position was recorded."""
    row = await (await connection.execute(RECORDED, [position])).fetchone()
    return row[0] if row else datetime.min.replace(tzinfo=UTC)


def underway(past: Kept) -> Underway:
    """Say how far a past is."""
    left = None
    if past.began_at is not None and past.position:
        passed = (datetime.now(UTC) - past.began_at).total_seconds()
        left = max(1, round(passed * (past.upto - past.position) / past.position))
    return Underway(past.state, past.position, past.upto, left)
