"""The Redis stream that other services read: each entry has its event's position for an id.

Redis takes no entry whose id is not above the last, so what is published again is not there twice
and the order is always that of the log, whoever publishes beside or after whom.
"""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple
from uuid import UUID

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from reactions.reaction import Outage

KEY = "daybook:events"
KNOWN_ALREADY = "equal or smaller"


class Last(NamedTuple):
    """The last entry: the position of its event, and which version of which stream that is."""

    position: int
    stream_id: UUID
    version: int


class EventStream:
    """The stream, on a connection that is made when it is needed; all of it raises `Outage`."""

    def __init__(self, redis_url: str, keeps: int) -> None:
        """Connect later; `keeps` is how many of the newest entries stay, about."""
        self.keeps = keeps
        self._client = redis.Redis.from_url(
            redis_url,
            decode_responses=True,
            socket_timeout=5,
            socket_connect_timeout=1,
            retry=Retry(NoBackoff(), 1),
        )

    def last(self) -> Last | None:
        """Return the last entry; None if there is none."""
        try:
            found: Any = self._client.xrevrange(KEY, count=1)
        except redis.RedisError as error:
            raise away(error) from error
        if not found:
            return None
        entry_id, fields = found[0]
        try:
            position = int(entry_id.partition("-")[0])
            return Last(position, UUID(fields["stream"]), int(fields["streamVersion"]))
        except (KeyError, ValueError) as error:
            reason = f"The Redis stream {KEY} holds entries that are not Daybook's."
            raise Outage(reason) from error

    def add(self, entries: Iterable[tuple[int, Mapping[str, str]]]) -> None:
        """Add entries by their positions, all or none; those that it had already are left out."""
        pipeline = self._client.pipeline(transaction=True)
        for position, fields in entries:
            entry: Any = dict(fields)
            pipeline.xadd(KEY, entry, id=f"{position}-0", maxlen=self.keeps, approximate=True)
        try:
            answers = pipeline.execute(raise_on_error=False)
        except redis.RedisError as error:
            raise away(error) from error
        for answer in answers:
            if isinstance(answer, Exception) and KNOWN_ALREADY not in str(answer):
                raise away(answer) from answer

    def close(self) -> None:
        """Hang up."""
        self._client.close()


def away(error: Exception) -> Outage:
    """Return what to say of a Redis that does not do what it should."""
    return Outage(f"Redis cannot be used: {error}")
