"""Passing wake-ups on: a message reaches one worker, the news concern all that share a view.

Who receives a message and does not hold the whole view tells the others over a Redis channel. What
is lost there is found by the tick, like a lost message.
"""

import threading
import time
from collections.abc import Callable

import redis
import structlog
from redis.backoff import NoBackoff
from redis.retry import Retry

from daybook.logs import Seldom

CHANNEL = "daybook:shared"
SECONDS_BETWEEN_TRIES = 1.0

log = structlog.get_logger(__name__)


class Relay:
    """Tells other workers of news, and is told by them."""

    def __init__(self, redis_url: str, on_news: Callable[[str], None]) -> None:
        """`on_news` is told a projection's name, on the relay's own thread."""
        self._redis_url, self._on_news = redis_url, on_news
        self._client = self._connected()
        self._seldom = Seldom()

    def start(self) -> None:
        """Begin to listen, for as long as this process lives."""
        threading.Thread(target=self._run, name="relay", daemon=True).start()

    def tell(self, name: str) -> None:
        """Tell the others that there is news for a projection."""
        try:
            self._client.publish(CHANNEL, name)
        except redis.RedisError as error:
            self._say_down(error)

    def _connected(self) -> redis.Redis:
        return redis.Redis.from_url(
            self._redis_url,
            socket_timeout=2,
            socket_connect_timeout=1,
            retry=Retry(NoBackoff(), 0),
            decode_responses=True,
        )

    def _run(self) -> None:
        while True:
            try:
                self._listen()
            except redis.RedisError as error:
                self._say_down(error)
            time.sleep(SECONDS_BETWEEN_TRIES)

    def _listen(self) -> None:
        with self._connected() as client, client.pubsub() as channel:
            channel.subscribe(CHANNEL)
            while True:
                message = channel.get_message(ignore_subscribe_messages=True, timeout=1)
                if message is not None:
                    self._on_news(str(message["data"]))

    def _say_down(self, error: Exception) -> None:
        if self._seldom.due("redis_down"):
            log.warning("redis_down", error=str(error))
