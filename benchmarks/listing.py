"""Lists of a million rows over HTTP: their beginnings and depths, every filter in every order."""

import http.client
import json
import time
from collections.abc import Iterator, Mapping
from itertools import combinations, permutations, product
from statistics import median, quantiles
from typing import NamedTuple
from urllib.parse import urlencode
from uuid import UUID

import psycopg
from tests.projections.filled import fill

from benchmarks.bench import Bench, wait_until
from benchmarks.findings import Finding, Skipped
from benchmarks.postgres import running_postgres
from benchmarks.shop import Shop, shop
from projections import orders, products, users

PART = "lists"
ROWS, ROUGHLY = 1_000_000, 20_000
PAGE, DEEP_PAGE, STRIDE = 20, 10_000, 100
DEEP_TARGET = 2
TIMES, TIMES_EACH = 50, 4

# The first user of those that are filled in has more orders than any other.
GIVE = """
update orders_v1 set user_id = (select id from users_v2 where name = 'Ada')
 where user_id = '00000000-0000-0000-0000-000000000001'
"""
# So many rows are counted one by one, or nearly.
COUNTED_TO = "select placed_at from orders_v1 order by placed_at desc offset 49000 limit 1"

Filters = Mapping[str, tuple[str, str]]
"""Of each filter a value that few rows have, and one that most have."""


class List(NamedTuple):
    """A list to be asked for: where it is, its orders, its filters."""

    name: str
    sorts: list[str]
    filters: Filters


class Reader:
    """Asks one server one thing after the other over one connection, as one person."""

    def __init__(self, port: int, token: str) -> None:
        self._line = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        self._headers = {"Authorization": f"Bearer {token}"}

    def ask(self, path: str, **parameters: object) -> tuple[float, dict[str, object]]:
        """Return how long the answer took, in ms, and its body; RuntimeError if refused."""
        query = f"?{urlencode(parameters)}" if parameters else ""
        began = time.perf_counter()
        self._line.request("GET", f"{path}{query}", headers=self._headers)
        answer = self._line.getresponse()
        body = answer.read()
        took = (time.perf_counter() - began) * 1_000
        if answer.status != http.client.OK:
            raise RuntimeError(f"{path}{query}: {answer.status} {body[:200]!r}")
        return took, json.loads(body)

    def times(self, path: str, count: int, **parameters: object) -> list[float]:
        """Return how long so many answers took."""
        return [self.ask(path, **parameters)[0] for _ in range(count)]


def measure(bench: Bench) -> Iterator[Finding | Skipped]:
    """Fill the read tables by SQL, past the log, and ask."""
    rows = ROUGHLY if bench.quick else ROWS
    with (
        running_postgres(bench.folder / "cluster") as postgres,
        shop(bench, postgres, "lists", noop=False, workers=True, staffed=True) as opened,
    ):
        bench.say(f"{PART}: filling three tables with {rows:,} rows each")
        wait_until(lambda: not opened.behind(), 60, "the views")
        since = filled(opened, rows)
        postgres.settle()
        staff = Reader(opened.ports["daybook"], opened.staff_token)
        bench.say(f"{PART}: beginnings and totals")
        yield from beginnings(bench, staff, since)
        bench.say(f"{PART}: depths")
        for name in ("orders", "products", "users"):
            yield depth(bench, staff, name, min(DEEP_PAGE, rows // PAGE))
        customer = Reader(opened.ports["daybook"], opened.token)
        yield depth(bench, customer, "orders", 50 if rows == ROWS else 2, whose="a customer's own ")
        for one in lists(rows):
            bench.say(f"{PART}: {one.name}, every filter in every order")
            yield from choices(staff, one)
        bench.say(f"{PART}: a customer's own orders")
        customer = Reader(opened.ports["daybook"], opened.token)  # an idle line is hung up
        own = lists(rows)[0]
        of_others = {name: one for name, one in own.filters.items() if name != "userId"}
        yield from choices(customer, own._replace(filters=of_others), whose="a customer's own ")


def filled(opened: Shop, rows: int) -> str:
    """Fill the tables; return from when on just under 50,000 orders were placed."""
    with psycopg.connect(opened.services.database_url, autocommit=True) as connection:
        fill(connection, users=rows, products=rows, orders=rows)
        connection.execute(GIVE)
        connection.execute("vacuum analyze orders_v1")
        row = connection.execute(COUNTED_TO).fetchone()
    return row[0].isoformat().replace("+00:00", "Z") if row else "2025-01-01"


def lists(rows: int) -> list[List]:
    """Return the lists with values of their filters that there are in so many rows."""
    last = rows - 5
    of_orders = {
        "status": ("refunded", "delivered"),
        "userId": (str(UUID(int=last)), str(UUID(int=2))),
        "placedFrom": ("2025-08-20", "2025-01-02"),
        "placedTo": ("2025-01-01T01:00:00Z", "2026-01-01"),
        "minTotal": ("9990", "1"),
        "maxTotal": ("5", "9995"),
        "productId": (str(UUID(int=(1 << 28) + last)), str(UUID(int=(1 << 28) + 2))),
    }
    of_products = {
        "sku": (f"SKU-{last}", "SKU-78"),
        "name": (f"LAMP {last // 10}", "lamp"),
        "minPrice": ("999", "1"),
        "maxPrice": ("0.50", "900"),
        "inStock": ("false", "true"),
        "status": ("withdrawn", "for_sale"),
    }
    of_users = {
        "email": (f"{last}@example", "@EXAMPLE"),
        "role": ("admin", "customer"),
        "status": ("closed", "active"),
    }
    return [
        List("orders", list(orders.LISTING.sorts), of_orders),
        List("products", list(products.LISTING.sorts), of_products),
        List("users", list(users.LISTING.sorts), of_users),
    ]


def beginnings(bench: Bench, staff: Reader, since: str) -> Iterator[Finding]:
    """Say what the first page of each list costs, whole and in part, and what its total costs."""
    for name in ("orders", "products", "users"):
        path = f"/api/v1/{name}"
        first = staff.ask(path)[0]
        whole, part = [], []
        for _ in range(bench.rounds):
            whole.append(staff.times(path, TIMES))
            part.append(staff.times(path, TIMES, fields="id"))
        yield asked(f"the first page of {name}", whole, {"counting, once a minute": first})
        yield Finding(
            part=PART,
            what=f"the same with `fields=id`, {name}",
            unit="ms",
            values=[median(one) for one in part],
            against="whole",
            base=[median(one) for one in whole],
        )
    counted = [staff.times("/api/v1/orders", TIMES, placedFrom=since) for _ in range(bench.rounds)]
    yield asked("a page of orders whose total of 49,000 is counted", counted, {})


def depth(bench: Bench, reader: Reader, name: str, page: int, whose: str = "") -> Finding:
    """Compare a page by cursor far down in a list with the first one."""
    path, order = f"/api/v2/{name}", {"sortOrder": "desc", "limit": PAGE}
    cursor = cursor_of(reader, path, (page - 1) * PAGE)
    first, deep = [], []
    for _ in range(bench.rounds):
        first.append(median(reader.times(path, TIMES, **order)))
        deep.append(median(reader.times(path, TIMES, **order, cursor=cursor)))
    return Finding(
        part=PART,
        what=f"page {page:,} of {whose}{name} by cursor",
        unit="ms",
        values=deep,
        against="page 1",
        base=first,
        target=DEEP_TARGET,
        at_most=True,
    )


def cursor_of(reader: Reader, path: str, rows: int) -> str:
    """Return the cursor behind so many rows, after reading them."""
    cursor = ""
    for passed in range(0, rows, STRIDE):
        more = {"cursor": cursor} if cursor else {}
        limit = min(STRIDE, rows - passed)
        _, body = reader.ask(path, sortOrder="desc", limit=limit, **more)
        cursor = body["pagination"]["next"]  # type: ignore[index]  # as documented
    return cursor


def choices(reader: Reader, one: List, whose: str = "") -> Iterator[Finding]:
    """Ask for each filter in each order both ways, and for each pair of filters in each order."""
    few = {name: rare for name, (rare, _) in one.filters.items()}
    many = {name: common for name, (_, common) in one.filters.items()}
    single = [{}, *({name: value[name]} for value in (few, many) for name in one.filters)]
    pairs = [{a: few[a], b: many[b]} for a, b in permutations(one.filters, 2)]
    pairs += [{a: many[a], b: many[b]} for a, b in combinations(one.filters, 2)]
    asks = [(filters, sort, end) for filters, sort, end in product(single, one.sorts, ENDS)]
    asks += [(filters, sort, "desc") for filters, sort in product(pairs, one.sorts)]
    told: dict[str, list[float]] = {}
    for filters, sort, end in asks:
        parameters = {"sortBy": sort, "sortOrder": end, **filters}
        told[urlencode(parameters)] = reader.times(f"/api/v1/{one.name}", TIMES_EACH, **parameters)
    usual = {query: median(times) for query, times in told.items()}
    slowest = max(usual, key=usual.__getitem__)
    at_first = max(told, key=lambda query: told[query][0])
    yield Finding(
        part=PART,
        what=f"{whose}{one.name}, {len(told)} choices of filters and order; slowest: {slowest}",
        unit="ms",
        values=[median(usual.values())],
        notes={"p99": quantiles(usual.values(), n=100)[98], "slowest": usual[slowest]},
    )
    yield Finding(
        part=PART,
        what=f"the same asked for the first time, totals counted; slowest: {at_first}",
        unit="ms",
        values=[median(times[0] for times in told.values())],
        notes={
            "p99": quantiles([times[0] for times in told.values()], n=100)[98],
            "slowest": told[at_first][0],
        },
    )


ENDS = ("asc", "desc")


def asked(what: str, times: list[list[float]], more: Mapping[str, float]) -> Finding:
    """Say what something costs that was asked for again and again."""
    return Finding(
        part=PART,
        what=what,
        unit="ms",
        values=[median(one) for one in times],
        notes={"p99": median(quantiles(one, n=100)[98] for one in times), **more},
    )
