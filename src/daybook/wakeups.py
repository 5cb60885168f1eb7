"""Wake-ups: dramatiq messages that say "there is news for projection P", and nothing more.

The log is the queue. A message that is lost, doubled or late does no harm: workers also look at the
log by themselves every second, so Redis can be away without a view standing still.
"""

import threading
import time
from collections.abc import Iterable

import redis
import structlog
from dramatiq import Message
from dramatiq.brokers.redis import RedisBroker
from dramatiq.errors import ConnectionError as BrokerConnectionError

QUEUE = "projections"
ACTOR = "post"
SECONDS_BETWEEN_WARNINGS = 30.0
SECONDS_TO_LEAVE_REDIS_ALONE = 1.0
# A message under way is not sent again; should it be lost, the mark is gone after this time.
MARK_MILLISECONDS = 500

log = structlog.get_logger(__name__)


def make_broker(redis_url: str) -> RedisBroker:
    """Return the broker of wake-ups. Messages are not retried: the next one, or the tick, does."""
    parameters = {"socket_timeout": 2, "socket_connect_timeout": 1}
    client = redis.Redis.from_url(redis_url, **parameters)
    broker = RedisBroker(  # type: ignore[no-untyped-call]  # dramatiq leaves it untyped
        client=client,
        middleware=[],
        namespace="daybook",
        heartbeat_timeout=10_000,
        maintenance_chance=10_000,
    )
    broker.declare_queue(QUEUE)
    return broker


def mark_of(projection: str) -> str:
    """Return the key that says that a message for a projection is under way."""
    return f"daybook:news:{projection}"


class Herald:
    """Sends wake-ups from a thread of its own, so that no command ever waits for Redis."""

    def __init__(self, redis_url: str, projections: Iterable[str]) -> None:
        self._broker = make_broker(redis_url)
        self._projections = list(projections)
        self._news = threading.Event()
        self._closing = False
        self._warned = 0.0
        self._thread = threading.Thread(target=self._run, name="herald", daemon=True)

    def start(self) -> None:
        """Begin to listen for news."""
        self._thread.start()

    def tell(self, _position: int) -> None:
        """Say that the log has grown; returns at once."""
        self._news.set()

    def close(self) -> None:
        """Send what is to be sent, then stop."""
        self._closing = True
        self._news.set()
        self._thread.join(timeout=2)
        self._broker.close()

    def _run(self) -> None:
        while not self._closing:
            self._news.wait()
            self._news.clear()
            try:
                self._send()
            except (redis.RedisError, BrokerConnectionError, OSError) as error:
                self._warn(error)
                time.sleep(SECONDS_TO_LEAVE_REDIS_ALONE)

    def _send(self) -> None:
        with self._broker.client.pipeline(transaction=False) as pipeline:
            for projection in self._projections:
                pipeline.set(mark_of(projection), 1, nx=True, px=MARK_MILLISECONDS)
            unmarked = pipeline.execute()
        for projection, new in zip(self._projections, unmarked, strict=True):
            if new:
                self._broker.enqueue(message_for(projection))

    def _warn(self, error: Exception) -> None:
        now = time.monotonic()
        if now - self._warned > SECONDS_BETWEEN_WARNINGS or not self._warned:
            self._warned = now
            log.warning("redis_down", error=str(error), effect="views follow within a second")


def message_for(projection: str) -> "Message[None]":
    """Return the wake-up of a projection."""
    return Message(queue_name=QUEUE, actor_name=ACTOR, args=(projection,), kwargs={}, options={})
