"""Wake-ups: dramatiq messages that say "there is news for projection P", and nothing more.

The log is the queue. A message that is lost, doubled or late does no harm: workers also look at the
log by themselves every second, so what carries them can be away without a view standing still. That
is Redis, or RabbitMQ where `DAYBOOK_BROKER_URL` names one.
"""

import threading
from collections.abc import Iterable
from typing import Protocol

import structlog
from dramatiq import Broker

from daybook.logs import Seldom
from daybook.wakeups import over_rabbitmq as wakeups_over_rabbitmq
from daybook.wakeups import over_redis as wakeups_over_redis

SECONDS_BETWEEN_SENDS = 0.01
SECONDS_TO_LEAVE_IT_ALONE = 1.0
SECONDS_TO_CLOSE = 2.0
# So that a connection is not taken for dead.
SECONDS_BETWEEN_SIGNS = 10.0

log = structlog.get_logger(__name__)


class Carrier(Protocol):
    """What carries wake-ups; all of it but `close` is called on the herald's thread."""

    name: str

    def send(self) -> None:
        """Send a wake-up for each projection that needs one; raises what went wrong."""

    def rest(self) -> None:
        """Give a sign of life."""

    def leave(self) -> None:
        """Hang up."""

    def close(self) -> None:
        """Let everything go, from whatever thread."""


def over_rabbitmq(url: str) -> bool:
    """Tell whether an address is RabbitMQ's."""
    return url.startswith(("amqp://", "amqps://"))


def make_broker(url: str) -> Broker:
    """Return the broker of wake-ups at an address: that of workers."""
    if over_rabbitmq(url):
        return wakeups_over_rabbitmq.make_broker(url)
    return wakeups_over_redis.make_broker(url)


def carrier_to(url: str, projections: Iterable[str]) -> Carrier:
    """Return what carries wake-ups to the workers."""
    if over_rabbitmq(url):
        return wakeups_over_rabbitmq.RabbitmqCarrier(url, projections)
    return wakeups_over_redis.RedisCarrier(url, projections)


class Herald:
    """Sends wake-ups from a thread of its own, so that no command ever waits for it."""

    def __init__(self, url: str, projections: Iterable[str]) -> None:
        """`url` is Redis's or RabbitMQ's."""
        self._carrier = carrier_to(url, projections)
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
        self._carrier.close()

    def _run(self) -> None:
        try:
            while self._news.is_set() or not self._closing.is_set():
                if not self._once():
                    return
        finally:
            self._carrier.leave()

    def _once(self) -> bool:
        """Wait for news and send them; False: it is to be closed, and nothing can be sent."""
        is_news = self._news.wait(SECONDS_BETWEEN_SIGNS)
        self._news.clear()
        try:
            if is_news:
                self._carrier.send()
            else:
                self._carrier.rest()
        except Exception as error:  # noqa: BLE001 - whatever it was, there will be more news
            self._say_away(error)
            return not self._closing.wait(SECONDS_TO_LEAVE_IT_ALONE)
        # Under load one message stands for many appends: sending is not free for commands.
        self._closing.wait(SECONDS_BETWEEN_SENDS)
        return True

    def _say_away(self, error: Exception) -> None:
        event = f"{self._carrier.name}_down"
        if self._seldom.due(event):
            effect = "views follow within a second"
            log.warning(event, error=str(error) or type(error).__name__, effect=effect)
