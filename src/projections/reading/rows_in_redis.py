"""Rows of the views in Redis, for all processes that share it; away, it finds nothing."""

import time
from collections.abc import Iterable, Mapping
from functools import cache
from hashlib import sha256
from types import GenericAlias
from typing import Any, NamedTuple

import msgspec
import structlog
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from sqlalchemy import Table
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from projections.projection import Row

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


class RowsInRedis:
    """Finds and keeps rows for a while; while Redis is away it finds nothing, and says so once."""

    def __init__(self, redis_url: str, seconds: float) -> None:
        """Keep each row for so many seconds."""
        self._milliseconds = int(seconds * 1_000)
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

    async def find(self, table: Table, generation: str, keys: Iterable[Any]) -> dict[Any, Seen]:
        """Return those rows that are here, as they were when they were kept."""
        keys = list(keys)
        if not keys or time.monotonic() < self._alone_until:
            return {}
        try:
            values = await self._redis.mget([name_of(table, generation, key) for key in keys])
        except Exception as error:  # noqa: BLE001 - whatever it was, the table has the rows too
            self._leave_alone(error)
            return {}
        found = zip(keys, values, strict=True)
        return {key: seen for key, value in found if value and (seen := read(table, value))}

    async def keep(self, table: Table, generation: str, found: Mapping[Any, Seen]) -> None:
        """Keep rows that were read while the table was of this generation."""
        if time.monotonic() < self._alone_until:
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

    async def close(self) -> None:
        """Hang up."""
        await self._redis.aclose()

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
