"""Wake-ups: dramatiq messages that say "there is news for projection P", and nothing more.

The log is the queue. A message that is lost, doubled or late does no harm: workers also look at the
log by themselves every second, so Redis can be away without a view standing still.
"""

import threading
from collections.abc import Iterable

import redis
import structlog
from dramatiq import Message
from dramatiq.brokers.redis import RedisBroker
from redis.backoff import NoBackoff
from redis.retry import Retry

from daybook.logs import Seldom

NAMESPACE = "daybook"
QUEUE = "projections"
ACTOR = "post"
SECONDS_BETWEEN_SENDS = 0.01
SECONDS_TO_LEAVE_REDIS_ALONE = 1.0
SECONDS_TO_CLOSE = 2.0
# A message under way is not sent again; should it be lost, the mark is gone after this time.
MARK_MILLISECONDS = 500

log = structlog.get_logger(__name__)


def make_broker(redis_url: str) -> RedisBroker:
    """Return the broker of wake-ups. Messages are not retried: the next one, or the tick, does."""
    client = redis.Redis.from_url(
        redis_url,
        socket_timeout=2,
        socket_connect_timeout=1,
        retry=Retry(NoBackoff(), 1),
    )
    broker = RedisBroker(  # type: ignore[no-untyped-call]  # dramatiq leaves it untyped
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


class Herald:
    """Sends wake-ups from a thread of its own, so that no command ever waits for Redis."""

    def __init__(self, redis_url: str, projections: Iterable[str]) -> None:
        self._broker = make_broker(redis_url)
        self._projections = list(projections)
        # While no worker takes messages, those that wait say it all.
        self._most_waiting = 2 * len(self._projections)
        self._news = threading.Event()
        self._closing = threading.Event()
        self._seldom = Seldom()
        self._thread = threading.Thread(target=self._run, name="herald", daemon=True)

    def start(self) -> None:
        """Begin to listen for news."""
        self._thread.start()

    def tell(self, _position: int) -> None:
        """Say that the log has grown; returns at once."""
        self._news.set()

    def close(self) -> None:
        """Send what is to be sent, then stop; in two seconds at most."""
        self._closing.set()
        self._news.set()
        self._thread.join(timeout=SECONDS_TO_CLOSE)
        self._broker.client.close()

    def _run(self) -> None:
        while self._news.is_set() or not self._closing.is_set():
            self._news.wait()
            self._news.clear()
            try:
                self._send()
                # Under load one message stands for many appends: sending is not free for commands.
                self._closing.wait(SECONDS_BETWEEN_SENDS)
            except Exception as error:  # noqa: BLE001 - whatever it was, there will be more news
                if self._seldom.due("redis_down"):
                    effect = "views follow within a second"
                    log.warning("redis_down", error=str(error), effect=effect)
                if self._closing.wait(SECONDS_TO_LEAVE_REDIS_ALONE):
                    return

    def _send(self) -> None:
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


def message_for(projection: str) -> "Message[None]":
    """Return the wake-up of a projection."""
    return Message(queue_name=QUEUE, actor_name=ACTOR, args=(projection,), kwargs={}, options={})
