"""Wake-ups over RabbitMQ, for those who run one anyway."""

from collections.abc import Iterable
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import pika  # type: ignore[import-untyped]  # it ships no types
from dramatiq.brokers.rabbitmq import RabbitmqBroker

from daybook.wakeups.message import QUEUE, message_for

# Every wait has an end; what the address says counts for more.
LIMITS = {
    "connection_attempts": "1",
    "socket_timeout": "2",
    "stack_timeout": "5",
    "blocked_connection_timeout": "5",
    "heartbeat": "30",
}


def make_broker(broker_url: str) -> RabbitmqBroker:
    """Return the broker of wake-ups. Messages are not retried: the next one, or the tick, does."""
    broker = RabbitmqBroker(url=limited(broker_url), middleware=[])
    broker.declare_queue(QUEUE)
    return broker


def limited(url: str) -> str:
    """Return an address with the limits that it does not have itself."""
    parts = urlsplit(url)
    query = LIMITS | dict(parse_qsl(parts.query))
    return urlunsplit(parts._replace(path=parts.path or "/%2F", query=urlencode(query)))


def why_unusable(broker_url: str) -> str | None:
    """Return why RabbitMQ cannot be used, None if it can."""
    try:
        pika.BlockingConnection(pika.URLParameters(limited(broker_url))).close()
    except (pika.exceptions.AMQPError, OSError, ValueError) as error:
        return str(error) or type(error).__name__
    return None


class RabbitmqCarrier:
    """Sends a wake-up for each projection, unless enough of them wait.

    A connection belongs to the thread that made it, so nothing is done with it from another.
    """

    name = "rabbitmq"

    def __init__(self, broker_url: str, projections: Iterable[str]) -> None:
        self._broker = make_broker(broker_url)
        self._projections = list(projections)
        self._most_waiting = 2 * len(self._projections)

    def send(self) -> None:
        """Send what needs to be sent; over a new connection if the old one is gone."""
        try:
            waiting = self._waiting()
        except (pika.exceptions.AMQPError, OSError):
            del self._broker.connection
            self._broker.queues_pending.add(QUEUE)
            waiting = self._waiting()
        if waiting >= self._most_waiting:
            return
        for projection in self._projections:
            self._broker.enqueue(message_for(projection))

    def rest(self) -> None:
        """Answer the server's heartbeats, if there is a connection."""
        connection: Any = getattr(self._broker.state, "connection", None)
        if connection is not None:
            connection.process_data_events(0)

    def leave(self) -> None:
        """Hang up."""
        del self._broker.connection

    def close(self) -> None:
        """Do nothing: the thread whose connection it is has hung up."""

    def _waiting(self) -> int:
        self._broker.declare_queue(QUEUE, ensure=True)
        found: Any = self._broker.channel.queue_declare(QUEUE, passive=True)
        return int(found.method.message_count)
