"""A long log of a shop to ask, made by Postgres itself: 10 million events in some minutes."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg

from benchmarks.growing import BARE, INDEXED
from benchmarks.postgres import Postgres

STATEMENT = Path(__file__).with_suffix(".sql").read_text(encoding="utf-8")
PRODUCTS = 4_000
AT_ONCE = 250_000
CONNECTIONS = 2
# Its partial indexes are made again afterwards as well.
PARTIAL = """
select indexname, indexdef from pg_indexes where tablename = 'events' and indexdef like '% WHERE %'
"""


def shop_history(postgres: Postgres, size: int) -> str:
    """Make a log of so many events and return its address."""
    url = postgres.create_log(f"history_{size}")
    with psycopg.connect(url, autocommit=True) as connection:
        partial = connection.execute(PARTIAL).fetchall()
        connection.execute(BARE)
        for name, _ in partial:
            connection.execute(f"drop index {name}".encode())
        with ThreadPoolExecutor(CONNECTIONS) as makers:
            list(makers.map(lambda first: fill(url, first, size), range(1, size + 1, AT_ONCE)))
        connection.execute(INDEXED)
        for _, definition in partial:
            connection.execute(definition.encode())
        connection.execute(
            "update log_head set position = %s, recorded_at ="
            " (select recorded_at from events order by position desc limit 1)",
            [size],
        )
        connection.execute("vacuum analyze events")
    return url


def fill(url: str, first: int, size: int) -> None:
    """Write a stretch of it."""
    last = min(size, first + AT_ONCE - 1)
    statement = STATEMENT.format(first=first, last=last, products=PRODUCTS)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement.encode())
