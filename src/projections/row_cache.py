"""Rows of the views in Redis, below all permissions: whoever may see what is decided from the row.

What comes out was true when its view had seen the position that goes with it, and no event that
concerns the row has come since; whatever Redis does, that is checked here.
"""

import time
from collections.abc import Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from functools import cache
from hashlib import sha256
from types import GenericAlias, TracebackType
from typing import Any, NamedTuple, Self

import msgspec
import structlog
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from sqlalchemy import Table
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from projections.projection import Row
from projections.touched import Touched

CONNECTIONS = 4
WAITING_SECONDS = 0.2  # so much later than without a cache is an answer at worst, once in a while
# While Redis is away, one reading in this time finds out whether it is back.
SECONDS_TO_LEAVE_REDIS_ALONE = 1.0
SECONDS_BETWEEN_WARNINGS = 30.0

log = structlog.get_logger(__name__)

ENCODER = msgspec.msgpack.Encoder()


class Seen(NamedTuple):
    """A row, if there is one, and the position that the view had seen."""

    row: Row | None
    position: int


class Form(NamedTuple):
    """How rows of a table are written: their columns, what reads them, a mark of both."""

    names: tuple[str, ...]
    decoder: "msgspec.msgpack.Decoder[Any]"
    mark: str


class RowCache(AbstractAsyncContextManager["RowCache"]):
    """Finds and keeps rows for a while; while Redis is away it finds nothing, and says so once."""

    def __init__(self, redis_url: str, seconds: float, touched: Touched) -> None:
        self._touched, self._milliseconds = touched, int(seconds * 1_000)
        self._redis: Redis = Redis.from_pool(
            BlockingConnectionPool.from_url(
                redis_url,
                max_connections=CONNECTIONS,
                timeout=WAITING_SECONDS,
                socket_timeout=WAITING_SECONDS,
                socket_connect_timeout=WAITING_SECONDS,
                retry=Retry(NoBackoff(), 0),
            )
        )
        self._alone_until = float("-inf")
        self._warned = float("-inf")

    def wake(self, position: int) -> None:
        """Say that this process has appended; returns at once."""
        self._touched.wake(position)

    async def __aenter__(self) -> Self:
        """Follow the log; Postgres and Redis may be away."""
        await self._touched.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Hang up."""
        await self._touched.__aexit__(kind, error, traceback)
        await self._redis.aclose()

    async def find(self, table: Table, wanted: Mapping[Any, int]) -> dict[Any, Seen]:
        """Return those rows that are here and still true; `wanted` has each's least position."""
        generation = self._touched.generation(table)
        if generation is None or time.monotonic() < self._alone_until:
            return {}
        try:
            values = await self._redis.mget([name_of(table, generation, key) for key in wanted])
        except Exception as error:  # noqa: BLE001 - whatever it was, the table has the rows too
            self._leave_alone(error)
            return {}
        found = {}
        for (key, least), value in zip(wanted.items(), values, strict=True):
            seen = None if value is None else read(table, value)
            if seen is None or seen.position < least:
                continue
            if not self._touched.since(table, key, seen.position):
                found[key] = seen
        return found

    async def keep(self, table: Table, generation: str | None, found: Mapping[Any, Seen]) -> None:
        """Keep rows that were read while the table was of this generation."""
        if generation is None or time.monotonic() < self._alone_until:
            return
        columns = form_of(table).names
        try:
            async with self._redis.pipeline(transaction=False) as pipeline:
                for key, seen in found.items():
                    if seen.row is not None:
                        values = [seen.row[name] for name in columns]
                        value = ENCODER.encode((seen.position, values))
                        name = name_of(table, generation, key)
                        pipeline.psetex(name, self._milliseconds, value)  # type: ignore[unused-awaitable]  # queued
                await pipeline.execute()
        except Exception as error:  # noqa: BLE001 - as above
            self._leave_alone(error)

    def generation(self, table: Table) -> str | None:
        """Return what `keep` wants to know; to be asked before the rows are read."""
        return self._touched.generation(table)

    def _leave_alone(self, error: Exception) -> None:
        now = time.monotonic()
        self._alone_until = now + SECONDS_TO_LEAVE_REDIS_ALONE
        if now - self._warned >= SECONDS_BETWEEN_WARNINGS:
            self._warned = now
            effect = "rows are read from the tables"
            log.warning("redis_down", error=type(error).__name__, effect=effect)


def name_of(table: Table, generation: str, key: Any) -> str:
    """Return the key of a row in Redis."""
    return f"daybook:row:{table.name}:{generation}:{form_of(table).mark}:{key}"


def read(table: Table, value: Any) -> Seen | None:
    """Return a row as it was written, None if this is none."""
    form = form_of(table)
    try:
        position, values = form.decoder.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return Seen(dict(zip(form.names, values, strict=True)), position)


@cache
def form_of(table: Table) -> Form:
    """Return how rows of a table are written."""
    columns = [one for one in table.columns if not isinstance(one.type, ARRAY)]
    kinds: Iterable[Any] = (
        str if isinstance(one.type, JSONB) else one.type.python_type for one in columns
    )
    types: Any = GenericAlias(tuple, tuple(kind | None for kind in kinds))
    names = tuple(one.name for one in columns)
    mark = sha256(repr((names, types)).encode()).hexdigest()[:8]
    return Form(names, msgspec.msgpack.Decoder(GenericAlias(tuple, (int, types))), mark)
