"""The judgement: the shoppers' ledger, a fold of the log and every view must say the same."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from psycopg import Connection
from psycopg.rows import TupleRow

from tests.chaos.ledger import Book, Ledger, Ordered, books

MOST_EXAMPLES = 5

PLACED = """
select stream_id::text, data ->> 'user_id', data ->> 'placed_at', data -> 'lines',
       data -> 'total' ->> 'amount'
  from events where name = 'order.placed'
"""
CHANGED = """
select stream_id::text, substring(name from 7) from events
 where name in ('order.paid', 'order.cancelled', 'order.refunded') order by position
"""
HOLES = """
select stream_id::text, count(*), max(version) from events
 group by stream_id having count(*) <> max(version)
"""
GAPS = "select count(*), coalesce(max(position), 0), (select position from log_head) from events"

VIEWS = {
    "orders": "select id::text, status, total from orders_v1",
    "stock": "select id::text, stock from products_v1",
    "users": "select id::text, orders from users_v2 where orders > 0",
    "sales by day": """
        select day::text, orders, units, revenue from sales_by_day_v1 where orders > 0
    """,
    "sales by product": """
        select product_id::text, sum(orders)::int, sum(units)::bigint, sum(revenue)
          from sales_by_product_v1 group by 1 having sum(orders) > 0
    """,
    "sales by customer": """
        select user_id::text, sum(orders)::int, sum(units)::bigint, sum(revenue)
          from sales_by_customer_v1 group by 1 having sum(orders) > 0
    """,
}


def judge(connection: Connection[TupleRow], ledger: Ledger) -> dict[str, list[str]]:
    """Return the broken promises, each with examples; none if all the books agree."""
    broken = {f"log and ledger: {name}": wrong for name, wrong in of_log(connection, ledger)}
    kept = books(ledger.orders, ledger.stock)
    for name, query in VIEWS.items():
        rows = connection.execute(query.encode()).fetchall()
        shown = {key: values[0] if len(values) == 1 else tuple(values) for key, *values in rows}
        broken[f"view and ledger: {name}"] = differences(kept[name], shown)
    broken["versions of a stream have holes"] = [str(row) for row in fetch(connection, HOLES)]
    ((count, last, head),) = fetch(connection, GAPS)
    broken["positions have gaps"] = [] if count == last == head else [f"{count} {last} {head}"]
    return {promise: wrong for promise, wrong in broken.items() if wrong}


def of_log(connection: Connection[TupleRow], ledger: Ledger) -> list[tuple[str, list[str]]]:
    """Compare what was acknowledged with a fold of the log that shares no code with the views."""
    folded = fold(connection)
    kept, found = books(ledger.orders, ledger.stock), books(folded, ledger.stock)
    return [(name, differences(kept[name], found[name])) for name in kept]


def fold(connection: Connection[TupleRow]) -> dict[str, Ordered]:
    """Return the orders as the log has them."""
    orders = {}
    for key, user, placed_at, lines, total in fetch(connection, PLACED):
        (line,) = lines
        orders[key] = Ordered(
            user, line["product_id"], line["quantity"], Decimal(total), placed_at[:10]
        )
    for key, status in fetch(connection, CHANGED):
        orders[key].status = status
    return orders


def differences(kept: Mapping[str, object], shown: Mapping[str, object] | Book) -> list[str]:
    """Return what two books say differently, a few examples of it."""
    wrong = [
        f"{key}: {kept.get(key, 'nothing')} is shown as {shown.get(key, 'nothing')}"
        for key in sorted(kept.keys() | shown.keys())
        if kept.get(key) != shown.get(key)
    ]
    more = len(wrong) - MOST_EXAMPLES
    return wrong[:MOST_EXAMPLES] + ([f"and {more} more"] if more > 0 else [])


def fetch(connection: Connection[TupleRow], query: str) -> list[Any]:
    """Return all rows of a query."""
    return connection.execute(query.encode()).fetchall()
