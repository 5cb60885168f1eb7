"""A worker process, put together: it posts views when woken and each second.

Started as `dramatiq daybook.worker:start`; dramatiq calls `start` in each of its processes.
"""

import os
import threading
import time
from collections.abc import Callable

import dramatiq
import structlog
from dramatiq.brokers.redis import RedisBroker
from psycopg import Connection
from psycopg.rows import TupleRow

from daybook import garbage
from daybook.builder import Foreman
from daybook.keys.master_key import keyring
from daybook.logs import Seldom, configure_logs
from daybook.observation import Post, posting
from daybook.processes.children import Kept
from daybook.services import Services
from daybook.settings import Settings
from daybook.wakeups.message import ACTOR, QUEUE
from daybook.wakeups.over_redis import Marks
from daybook.wakeups.relay import Relay
from daybook.wakeups.sender import make_broker
from event_store.connections import LOST_OR_ENDED, connect
from event_store.privacy.keyring import NO_KEYS, Keyring
from projections.posting.engine import post_held
from projections.posting.leases import BEAT_SECONDS, Crew
from projections.posting.pages import Pages
from projections.posting.post_page import ProjectionFailed
from projections.projection import PARTITIONS, Projection
from projections.switched_on import PROJECTIONS

TICK_SECONDS = 1.0
STATEMENT_MS = 60_000
# So soon the server ends the transaction of a process that is frozen in it, and others take over.
IDLE = "3s"
# Rows and checkpoint are lost together if the server dies within some tenths of a second, and are
# posted again from the log, which is flushed. Waiting for the disk took a third of a view's delay.
NO_FLUSH = {"synchronous_commit": "off"}
# A thread that is at one page for so long is stuck, in a loop without end perhaps. Only the end of
# this process stops it; that counts as a death, so that an event that does it again is parked.
STUCK_SECONDS = 120.0
STUCK = 70
FAILED_PAUSE_SECONDS = 5.0

log = structlog.get_logger(__name__)


class Poster:
    """Posts the partitions that this process holds, over a connection for each thread."""

    def __init__(
        self, database_url: str, keys: Keyring = NO_KEYS, post_pages: Post = post_held
    ) -> None:
        """`post_pages` is `post_held`, or something around it that sees each posting."""
        self._database_url, self._post_pages = database_url, post_pages
        self._beating: Connection[TupleRow] | None = None
        self._beats = threading.Lock()
        self._local = threading.local()
        self._pages = Pages(PROJECTIONS.values(), keys)
        self._crew = Crew(PROJECTIONS.values(), has_heart=True)
        self._busy = {name: threading.Lock() for name in PROJECTIONS}
        self._again: set[str] = set()
        self._since: dict[str, float] = {}
        self._paused_until: dict[str, float] = {}
        self._seldom = Seldom()

    def holds_all(self, projection: Projection) -> bool:
        """Tell whether there is nobody to share a view with at this moment."""
        return len(self._crew.leases(projection)) == PARTITIONS

    def beat(self) -> None:
        """Say that this process lives, or end it if it is stuck; take and give back partitions."""
        if stuck := self.stuck():
            log.error("posting_stuck", projections=stuck)
            os._exit(STUCK)
        with self._beats:
            try:
                if self._beating is None or self._beating.closed:
                    self._beating = self._connect("daybook heart")
                self._crew.beat(self._beating)
            except BaseException as error:
                self._stop_beating()
                if not isinstance(error, LOST_OR_ENDED):
                    raise
                self._say_away(error)

    def stuck(self) -> list[str]:
        """Return the views that threads of this process are at, and have not got ahead for long."""
        late = time.monotonic() - STUCK_SECONDS
        since = sorted(self._since.copy().items())
        return [name for name, began in since if max(began, self._crew.went_on_at(name)) < late]

    def post(self, projection: Projection) -> int:
        """Bring a view up to the log's end, and return how far it came here.

        Whatever fails is logged and tried again later. If another thread is at it, that one looks
        once more when it is done.
        """
        name, come = projection.name, 0
        self._again.add(name)
        while name in self._again and self._busy[name].acquire(blocking=False):
            try:
                self._again.discard(name)
                self._since[name] = time.monotonic()
                come += self._post(projection)
            finally:
                self._since.pop(name, None)
                self._busy[name].release()
        return come

    def _post(self, projection: Projection) -> int:
        if time.monotonic() < self._paused_until.get(projection.name, 0):
            return 0
        try:
            if self._crew.is_due():
                self.beat()
            return self._post_pages(self._connection(), projection, self._crew, self._pages)
        except ProjectionFailed:
            self._pause(projection)
        except LOST_OR_ENDED as error:
            self._say_away(error)
            self._hang_up()
        except Exception:
            log.exception("posting_failed", projection=projection.name)
            self._hang_up()
            self._pause(projection)
        return 0

    def _say_away(self, error: BaseException) -> None:
        if self._seldom.due("postgres_away"):
            log.warning("postgres_away", error=str(error).strip())

    def _pause(self, projection: Projection) -> None:
        self._paused_until[projection.name] = time.monotonic() + FAILED_PAUSE_SECONDS

    def _connection(self) -> Connection[TupleRow]:
        connection: Connection[TupleRow] | None = getattr(self._local, "connection", None)
        if connection is None or connection.closed:
            self._local.connection = connection = self._connect("daybook worker", **NO_FLUSH)
        return connection

    def _connect(self, name: str, **more: str) -> Connection[TupleRow]:
        return connect(
            self._database_url,
            name=name,
            statement_ms=STATEMENT_MS,
            idle_in_transaction_session_timeout=IDLE,
            **more,
        )

    def leave(self) -> None:
        """Give everything back for good: so nobody takes the end of this process for a death."""
        with self._beats:
            try:
                if self._beating is not None:
                    self._crew.leave(self._beating)
            except LOST_OR_ENDED as error:
                self._say_away(error)

    def close(self) -> None:
        """Hang up the calling thread's connection and the heart's."""
        self._hang_up()
        with self._beats:
            self._stop_beating()

    def _hang_up(self) -> None:
        connection: Connection[TupleRow] | None = getattr(self._local, "connection", None)
        self._local.connection = None
        if connection is not None:
            connection.close()

    def _stop_beating(self) -> None:
        connection, self._beating = self._beating, None
        if connection is not None:
            connection.close()


class Leaving(dramatiq.Middleware):
    """Lets a poster leave when its process was told to stop and has finished what it was at."""

    def __init__(self, poster: Poster) -> None:
        self._poster = poster

    def after_worker_shutdown(self, _broker: dramatiq.Broker, _worker: dramatiq.Worker) -> None:
        """Leave."""
        self._poster.leave()


def start() -> None:
    """Put this process together: its broker, its actor and its tick. dramatiq then runs it."""
    configure_logs()
    garbage.look_rarely()
    settings = Settings.from_environment(os.environ)
    if settings.database_url is None or settings.redis_url is None:
        message = "A worker needs DAYBOOK_DATABASE_URL and DAYBOOK_REDIS_URL: use `daybook work`."
        raise SystemExit(message)
    keys = keyring(settings)
    found = Services(settings.database_url, settings.redis_url, keys, settings.broker_url)
    background = Kept("daybook.background", settings.database_url)
    background.start()
    run_worker(found, background.tell, posting(settings))


def run_worker(found: Services, on_news: Callable[[], None], post_pages: Post = post_held) -> None:
    """Declare the actor on the process's broker, and start the tick.

    `on_news` is called on one of dramatiq's threads for each message; it returns at once.
    """
    broker = make_broker(found.wakeups_url)
    dramatiq.set_broker(broker)
    poster = Poster(found.database_url, found.keys, post_pages)
    marks = Marks(broker.client) if isinstance(broker, RedisBroker) else None

    def post(name: str) -> None:
        # The mark goes first: news that comes while we read must be able to send a new message.
        if marks:
            marks.unmark(name)
        on_news()
        projection = PROJECTIONS.get(name)
        if projection is None:
            return
        if not poster.holds_all(projection):
            relay.tell(name)
        if not poster.post(projection):
            log.debug("already_applied", projection=name)

    def post_too(name: str) -> None:
        if name in PROJECTIONS:
            poster.post(PROJECTIONS[name])

    broker.add_middleware(Leaving(poster))
    relay = Relay(found.redis_url, post_too)

    dramatiq.actor(actor_name=ACTOR, queue_name=QUEUE, broker=broker)(post)
    relay.start()
    Foreman(found.database_url).start()
    poster.beat()
    for work in (heart, tick):
        threading.Thread(target=work, args=[poster], name=work.__name__, daemon=True).start()


def heart(poster: Poster) -> None:
    """Beat each second, whatever is being posted."""
    while True:
        time.sleep(BEAT_SECONDS)
        try:
            poster.beat()
        except Exception:
            log.exception("beat_failed")


def tick(poster: Poster) -> None:
    """Look at every projection each second, for the messages that were lost."""
    while True:
        for projection in PROJECTIONS.values():
            poster.post(projection)
        time.sleep(TICK_SECONDS)
