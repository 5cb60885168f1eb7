"""Lists as they were of a long log: until the first answer, further pages, a later state."""

import asyncio
import threading
import time
from collections.abc import Iterator
from statistics import median
from uuid import UUID

import psycopg

from benchmarks.findings import Finding
from event_store.connections import connect
from event_store.history.accesses import Access
from projections import orders, products, sales_by_customer, sales_by_day, sales_by_product, users
from projections.listing import Listing, Request
from projections.pasts.building import Archivist
from projections.pasts.lists import Moment, PastPage, Pasts
from projections.switched_on import PROJECTIONS

ACCESS = Access("bench", "auditor", "bench", "list_as_of", {})
LISTINGS: dict[str, Listing] = {
    "sales by day": sales_by_day.LISTING,
    "sales by product": sales_by_product.LISTING,
    "sales by customer": sales_by_customer.LISTING,
    "products": products.LISTING,
    "users": users.LISTING,
    "orders": orders.LISTING,
}
LIMIT = 20
PAGES = 20
STATEMENT_MS = 600_000
LONGEST = 3_600.0
SINCE = "select recorded_at::date - 30 from events where position = %s"
BUYERS = """
select distinct data ->> 'user_id' from events
 where name = 'order.placed' and position > %s and position < %s + 5000 limit 50
"""


def measure_pasts(part: str, url: str, size: int) -> Iterator[Finding]:
    """Ask each list as it was at nine tenths of the log, then at its end."""
    stop = threading.Event()
    builder = threading.Thread(target=build, args=(url, stop))
    builder.start()
    try:
        yield asyncio.run(few(part, url, size))
        for name, listing in LISTINGS.items():
            yield asyncio.run(one_list(part, url, size, name, listing))
    finally:
        stop.set()
        builder.join()


def build(url: str, stop: threading.Event) -> None:
    """Make what is asked for, as a worker's builder does, until told to stop."""
    with connect(url, name="bench builder", statement_ms=STATEMENT_MS) as connection:
        archivist = Archivist(PROJECTIONS)
        while not stop.is_set():
            if not archivist.step(connection):
                time.sleep(0.05)


async def few(part: str, url: str, size: int) -> Finding:
    """Ask for the orders of some people, of which no past is made."""
    listing = orders.LISTING
    with psycopg.connect(url) as connection:
        middle = size // 2
        people = [UUID(one) for (one,) in connection.execute(BUYERS, [middle, middle]).fetchall()]
    async with Pasts(url) as pasts:
        times = [
            await answered(pasts, listing, size * 9 // 10, filters={"userId": one})
            for one in people
        ]
    return Finding(
        part=part,
        what="a customer's orders as they were, median of the first answers",
        unit="s",
        values=[median(times)],
        notes={"slowest": max(times)},
        at_most=True,
    )


async def one_list(part: str, url: str, size: int, name: str, listing: Listing) -> Finding:
    """Ask for a list cold, for further pages, and for a later state."""
    end = size * 9 // 10
    filters: dict[str, object] = {}
    if "from" in listing.filters:  # a report adds up what it is asked for, in the past as today
        with psycopg.connect(url) as connection:
            filters = dict(zip(["from"], connection.execute(SINCE, [end]).fetchone() or ()))  # noqa: B905 - one or none
    async with Pasts(url) as pasts:
        first = await answered(pasts, listing, end, filters=filters)
        pages = [
            await answered(pasts, listing, end, offset=number * LIMIT, filters=filters)
            for number in range(1, PAGES + 1)
        ]
        later = await answered(pasts, listing, size, filters=filters)
    return Finding(
        part=part,
        what=f"{name} as they were, the first answer",
        unit="s",
        values=[first],
        notes={
            "events/s": size * 0.9 / first,
            "further pages, ms": median(pages) * 1_000,
            "at the log's end, s": later,
        },
        at_most=True,
    )


async def answered(
    pasts: Pasts,
    listing: Listing,
    upto: int,
    *,
    offset: int = 0,
    filters: dict[str, object] | None = None,
) -> float:
    """Return how many seconds a page takes to be answered."""
    request = Request(
        filters=filters or {},
        sort_by=listing.default_sort,
        descending=True,
        limit=LIMIT,
        offset=offset,
    )
    began = time.perf_counter()
    found = await pasts.list(listing, request, Moment(upto, happened=False), ACCESS, LONGEST)
    assert isinstance(found, PastPage)  # noqa: S101 - it waits for it
    return time.perf_counter() - began
