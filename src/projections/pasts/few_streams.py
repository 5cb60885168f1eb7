"""Lists as they were of a few streams, such as one person's orders: folded while one waits.

The index of history names the streams. Their events are folded by the view's own fold into tables
that end with the transaction, which the list's own statement reads. So it costs what these streams
hold, however long the log is, and no past of the whole view has to be made.
"""

from datetime import datetime
from uuid import UUID

import msgspec
from psycopg import AsyncConnection
from psycopg.rows import TupleRow

from event_store.history.questions import Question
from event_store.history.search import find
from event_store.reading import Unread, streams_upto
from event_store.records import Recorded
from projections.listing import Listing, Page, Request
from projections.posting.copying import as_text, names_of
from projections.projection import Projection, Rows, fold_page
from projections.reading.queries import list_rows
from projections.rebuilds.new_tables import MODEL, WAITING

MOST_STREAMS = 2_000
MOST_EVENTS = 20_000


async def page_of_few(
    connection: AsyncConnection[TupleRow],
    listing: Listing,
    request: Request,
    upto: int,
    happened: datetime | None,
) -> Page | None:
    """Return a page as it was, in a transaction; None if that needs more than a few streams.

    And if one of their events cannot be applied: what it keeps back is known to a whole past.
    """
    question = question_of(listing, request, upto)
    if question is None:
        return None
    found = await find(connection, question, MOST_STREAMS + 1)
    if len(found) > MOST_STREAMS:
        return None
    streams = list({one.stream_id for one in found})
    events = await events_of(connection, listing.projection, streams, upto)
    rows = None if events is None else folded(listing.projection, events, happened)
    if rows is None:
        return None
    await tables_of(connection, listing.projection, rows)
    return msgspec.structs.replace(await list_rows(connection, listing, request), position=upto)


def question_of(listing: Listing, request: Request, upto: int) -> Question | None:
    """Return what finds an event of each stream of a list, None if no filter of it says which."""
    for name, value in request.filters.items():
        if name in listing.streams:
            return msgspec.structs.replace(
                listing.streams[name](value), positions=(None, upto + 1), descending=False
            )
    return None


async def events_of(
    connection: AsyncConnection[TupleRow], projection: Projection, streams: list[UUID], upto: int
) -> list[Recorded] | None:
    """Return the events of some streams up to a position; None if too many, or not to be read."""
    names = projection.event_names
    found = await streams_upto(connection, streams, names, upto, MOST_EVENTS + 1)
    if len(found) > MOST_EVENTS:
        return None
    read = [one for one in found if not isinstance(one, Unread)]
    return read if len(read) == len(found) else None


def folded(
    projection: Projection, events: list[Recorded], happened: datetime | None
) -> Rows | None:
    """Return the rows that events make, None if one of them cannot be applied."""
    if happened is not None:
        events = [one for one in events if one.occurred_at <= happened]
    try:
        return fold_page(projection, Rows(), events)
    except Exception:  # noqa: BLE001 - whatever it is: it is dealt with where a whole past is made
        return None


async def tables_of(
    connection: AsyncConnection[TupleRow], projection: Projection, rows: Rows
) -> None:
    """Make tables of these rows that are found before any others until the transaction ends."""
    written = dict(rows.written())
    for table in projection.tables:
        row = await (await connection.execute(MODEL, [f"{WAITING}.{table.name}"])).fetchone()
        schema = WAITING if row and row[0] else "public"
        make = f"create temporary table {table.name} (like {schema}.{table.name}) on commit drop"
        await connection.execute(make.encode())
        if not (made := written.get(table)):
            continue
        into = f"copy pg_temp.{table.name} ({names_of(table)}) from stdin"
        async with connection.cursor() as cursor, cursor.copy(into.encode()) as copy:
            await copy.write(as_text(table, made))
