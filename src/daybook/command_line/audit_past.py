"""`daybook audit as-of`: a list, or one thing, as it was at a position of the log or at a moment.

The words are those of the API. A whole view is made by this process, unless a worker is at it.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from psycopg import Connection
from psycopg.rows import TupleRow
from rich.console import Console
from rich.progress import Progress, TaskID
from rich.table import Table
from sqlalchemy import Table as SqlTable

from api.errors import MalformedRequest
from api.read import orders, products, reports, users
from api.read.as_of import check_not_personal
from api.read.lists import Asked, ListQuery, read_values
from api.read.moments import VALUES, moment_in
from daybook.command_line.auditing import progress_bar
from daybook.command_line.operator_commands import access
from daybook.migrate import migrate
from daybook.services import ServiceError, services
from daybook.settings import Settings
from event_store.connections import connect
from event_store.history.accesses import Access
from event_store.history.passed import NotYet
from event_store.trail import Trail
from projections.orders import ORDERS, order_view
from projections.pasts.as_of import row_of_stream
from projections.pasts.building import Archivist
from projections.pasts.lists import Moment, NoPlace, PastPage, Pasts, Underway
from projections.products import PRODUCTS, product_view
from projections.projection import Row
from projections.switched_on import PROJECTIONS
from projections.users import USERS, admin_view, user_view

Show = Callable[[Row, datetime], msgspec.Struct]

STATEMENT_MS = 600_000
PAUSE_SECONDS = 0.2


def by_row(view: Callable[[Row], msgspec.Struct]) -> Show:
    """Return what shows a row whatever the time."""
    return lambda row, _: view(row)


LISTS: dict[str, tuple[ListQuery, Show]] = {
    "orders": (orders.LIST, lambda row, _: order_view(row, for_staff=True)),
    "products": (products.LIST, by_row(product_view)),
    "users": (users.ADMIN_LIST, admin_view),
    **{
        f"sales-by-{name}": (reports.QUERIES[name], by_row(one.shown))
        for name, one in reports.GROUPINGS.items()
    },
}
THINGS: dict[str, tuple[SqlTable, Callable[[Row], msgspec.Struct]]] = {
    "orders": (ORDERS, lambda row: order_view(row, for_staff=True)),
    "products": (PRODUCTS, product_view),
    "users": (USERS, user_view),
}


class Past(msgspec.Struct, frozen=True, rename="camel"):
    """What was found: rows, how many there are in all, and the position of the log."""

    position: int
    total: int
    rows: list[msgspec.Struct]


def as_of(
    settings: Settings, console: Console, view: str, key: UUID | None, given: Mapping[str, str]
) -> Past:
    """Return a page of a list, or one thing, as it was; `ServiceError` says what is wrong."""
    with services(settings) as found:
        migrate(found.database_url)
        try:
            if key is not None:
                return asyncio.run(one(found.database_url, view, key, given))
            return asyncio.run(many(found.database_url, console, view, given))
        except MalformedRequest as error:
            details = [f"{one.field}: {one.message}" for one in error.details]
            raise ServiceError(" ".join(details) or str(error)) from error
        except NotYet as error:
            raise ServiceError(f"This has not passed yet. {error}") from error
        except NoPlace as error:
            raise ServiceError("All places for lists of the past are in use.") from error


async def one(url: str, view: str, key: UUID, given: Mapping[str, str]) -> Past:
    """Return one thing, folded from its stream."""
    if view not in THINGS:
        raise ServiceError(f"There is nothing with an id in {view}.")
    moment = required(read_values(VALUES, given))
    table, show = THINGS[view]
    projection = next(one for one in PROJECTIONS.values() if table in one.tables)
    async with Trail(url) as trail:
        noted = access("as_of", view=projection.name, id=str(key), **given)
        events = await trail.stream_as_of(key, moment.end, noted, happened=moment.happened)
    row = row_of_stream(projection, table, key, events)
    if row is None:
        raise ServiceError(f"There was no {key} in {view}.")
    return Past(events[-1].position, 1, [show(row)])


async def many(url: str, console: Console, view: str, given: Mapping[str, str]) -> Past:
    """Return a page of a list, made here if need be."""
    query, show = LISTS[view]
    asked = query.read(given)
    moment = required_of(asked)
    check_not_personal(query.listing, asked)
    noted = access("list_as_of", view=query.listing.projection.name, **given)
    with progress_bar(console) as progress:
        found = await made(url, query, asked, moment, noted, progress)
    rows = [show(row, found.at) for row in found.page.rows]
    return Past(found.page.position, found.page.total, rows)


async def made(  # noqa: PLR0913, PLR0917 - what is asked, and who is told
    url: str, query: ListQuery, asked: Asked, moment: Moment, noted: Access, progress: Progress
) -> PastPage:
    """Ask until there is an answer, and make the past meanwhile."""
    archivist, task = Archivist(PROJECTIONS), None
    with connect(url, name="daybook as-of", statement_ms=STATEMENT_MS) as connection:
        async with Pasts(url) as pasts:
            while True:
                found = await pasts.list(query.listing, asked.wanted, moment, noted, 0)
                if isinstance(found, PastPage):
                    return found
                task = told(progress, task, found)
                if not await asyncio.to_thread(step, archivist, connection):
                    await asyncio.sleep(PAUSE_SECONDS)  # a worker is at it


def step(archivist: Archivist, connection: Connection[TupleRow]) -> bool:
    """Go on with what is to be made; False if somebody else does."""
    return archivist.step(connection)


def told(progress: Progress, task: TaskID | None, found: Underway) -> TaskID:
    """Show how far a past has been made."""
    if task is None:
        task = progress.add_task("folding", total=found.target)
    progress.update(task, description=found.state, completed=found.position)
    return task


def required_of(asked: Asked) -> Moment:
    """Return as of when is asked."""
    if asked.moment is None:
        raise ServiceError("Say as of when: by --at.")
    return asked.moment


def required(found: Mapping[str, Any]) -> Moment:
    """Return as of when is asked."""
    moment = moment_in(found)
    if moment is None:
        raise ServiceError("Say as of when: by --at.")
    return moment


def table_of(found: Past) -> Table:
    """Lay rows out for people: field by field, as they have too many for one line."""
    shown: Sequence[dict[str, Any]] = msgspec.json.decode(msgspec.json.encode(found.rows))
    table = Table("field", "value", title=f"position {found.position:,}")
    for row in shown:
        for name, value in row.items():
            if value not in (None, [], {}):
                table.add_row(name, worded(value))
        table.add_section()
    table.caption = f"{len(shown)} of {found.total:,}" if shown else "nothing was there"
    return table


def worded(value: Any) -> str:
    """Write a value for people: money as it is said, what is nested as JSON."""
    if isinstance(value, dict) and value.keys() == {"amount", "currency"}:
        return f"{value['amount']} {value['currency']}"
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
