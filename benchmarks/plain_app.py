"""What a list costs without Daybook: Litestar, psycopg and the same SQL, and nothing else.

`python -m benchmarks.plain_app` serves it with the settings of the shipped server.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

from litestar import Litestar, get
from litestar.params import FromQuery
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool

from daybook.logs import configure_logs
from daybook.processes import programs
from daybook.settings import Settings
from projections.orders import LISTING
from projections.reading.list_sql import Shape, page_sql

PATH = "/plain/orders"
SQL, CONSTANTS = page_sql(LISTING, Shape(("userId",), LISTING.default_sort, descending=True))


def app() -> Litestar:
    """Return an application with one list."""
    connections = AsyncConnectionPool(
        os.environ["DAYBOOK_DATABASE_URL"], min_size=3, max_size=3, open=False
    )

    @get(PATH)
    async def orders(user: FromQuery[UUID]) -> list[dict[str, Any]]:
        values = {"userId": user, "page_limit": 20, "page_offset": 0}
        async with (
            connections.connection() as connection,
            connection.cursor(row_factory=dict_row) as cursor,
        ):
            await cursor.execute(SQL, CONSTANTS | values, prepare=True)
            return await cursor.fetchall()

    @get("/health/ready")
    async def ready() -> None:
        return None

    @asynccontextmanager
    async def lifespan(_: Litestar) -> AsyncIterator[None]:
        async with connections:
            yield

    return Litestar([orders, ready], lifespan=[lifespan], openapi_config=None)


if __name__ == "__main__":
    configure_logs()
    programs.FACTORIES["all"] = "benchmarks.plain_app:app"
    programs.serve(Settings.from_environment(os.environ), "all")
