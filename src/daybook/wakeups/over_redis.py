"""Wake-ups over Redis: a worker that has nothing to do waits there, and does not poll."""

from collections.abc import Iterable
from typing import Any

import redis
import structlog
from dramatiq import Consumer
from dramatiq.brokers.redis import RedisBroker
from redis.backoff import NoBackoff
from redis.retry import Retry

from daybook.logs import Seldom
from daybook.wakeups.message import QUEUE, message_for

NAMESPACE = "daybook"
# A message under way is not sent again; should it be lost, the mark is gone after this time.
MARK_MILLISECONDS = 500
# Shorter than the socket's timeout.
WAIT_SECONDS = 1.0
# How long a consumer pauses that has taken as many messages as it may.
FULL_MILLISECONDS = 10

log = structlog.get_logger(__name__)


class WaitingBroker(RedisBroker):
    """dramatiq's broker, whose idle consumers wait for a message instead of polling for one.

    They move the first message of the queue to where it is: nothing changes, but Redis answers
    only when there is one. All that wait are woken, and one of them fetches it.
    """

    def consume(self, queue_name: str, prefetch: int = 1, timeout: int = 5_000) -> Consumer:  # noqa: ARG002 - the signature is dramatiq's
        """Return a consumer; its waiting is done in `do_fetch`."""
        return super().consume(queue_name, prefetch, FULL_MILLISECONDS)

    def do_fetch(self, queue_name: str, prefetch: int) -> "list[bytes]":
        """Return messages; wait a while for one if there is none."""
        fetch = super().__getattr__("do_fetch")  # type: ignore[no-untyped-call]  # dramatiq leaves it untyped
        try:
            found: list[bytes] = fetch(queue_name, prefetch)
            if not found:
                queue = f"{self.namespace}:{queue_name}"
                if self.client.blmove(queue, queue, WAIT_SECONDS, "LEFT", "LEFT"):  # type: ignore[arg-type]  # fractions of seconds may be given
                    found = fetch(queue_name, prefetch)
        except redis.TimeoutError as error:
            raise redis.ConnectionError(str(error)) from error  # the kind that dramatiq expects
        return found


def make_broker(redis_url: str) -> RedisBroker:
    """Return the broker of wake-ups. Messages are not retried: the next one, or the tick, does."""
    client = redis.Redis.from_url(
        redis_url,
        socket_timeout=2,
        socket_connect_timeout=1,
        retry=Retry(NoBackoff(), 1),
    )
    broker = WaitingBroker(  # type: ignore[no-untyped-call]  # dramatiq leaves it untyped
        client=client,
        middleware=[],
        namespace=NAMESPACE,
        heartbeat_timeout=10_000,
        maintenance_chance=10_000,
    )
    broker.declare_queue(QUEUE)
    return broker


def mark_of(projection: str) -> str:
    """Return the key that says that a message for a projection is under way."""
    return f"daybook:news:{projection}"


class RedisCarrier:
    """Sends a wake-up for each projection for which none is under way."""

    name = "redis"

    def __init__(self, redis_url: str, projections: Iterable[str]) -> None:
        self._broker = make_broker(redis_url)
        self._projections = list(projections)
        # While no worker takes messages, those that wait say it all.
        self._most_waiting = 2 * len(self._projections)

    def send(self) -> None:
        """Send what needs to be sent."""
        with self._broker.client.pipeline(transaction=False) as pipeline:
            pipeline.llen(f"{NAMESPACE}:{QUEUE}")
            for projection in self._projections:
                pipeline.set(mark_of(projection), 1, nx=True, px=MARK_MILLISECONDS)
            waiting, *unmarked = pipeline.execute()
        if waiting >= self._most_waiting:
            return
        for projection, new in zip(self._projections, unmarked, strict=True):
            if new:
                self._broker.enqueue(message_for(projection))

    def rest(self) -> None:
        """Do nothing: a connection that Redis has closed is made anew."""

    def leave(self) -> None:
        """Do nothing: that can be done from whatever thread."""

    def close(self) -> None:
        """Hang up."""
        self._broker.client.close()


class Marks:
    """Takes the marks of messages away, on the worker's side."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._seldom = Seldom()

    def unmark(self, projection: str) -> None:
        """Say that no message for a projection is under way any more."""
        try:
            self._client.delete(mark_of(projection))
        except redis.RedisError as error:
            if self._seldom.due("redis_down"):
                log.warning("redis_down", error=str(error))
