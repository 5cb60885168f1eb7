"""Following the log for the eventsourcing package: polls, so that no event waits for the next."""

from collections import deque
from collections.abc import Sequence
from threading import Event
from typing import TYPE_CHECKING

import structlog
from eventsourcing.persistence import Notification, OperationalError, Subscription

if TYPE_CHECKING:
    from event_store.recorders.recorder import LogRecorder

PAGE = 500
IDLE_SECONDS = 0.05
OUTAGE_SECONDS = 0.5

log = structlog.get_logger(__name__)


class LogSubscription(Subscription["LogRecorder"]):
    """Yields events by position, each once, and waits for more until it is stopped.

    It outlives Postgres: while that is away it waits, and then goes on where it was.
    """

    def __init__(
        self, recorder: "LogRecorder", gt: int | None = None, topics: Sequence[str] = ()
    ) -> None:
        super().__init__(recorder=recorder, gt=gt, topics=topics)
        self._position = gt or 0
        self._page: deque[Notification] = deque()
        self._stopped = Event()

    def stop(self) -> None:
        """End the iteration, whoever waits in it; any thread may call this."""
        super().stop()
        self._stopped.set()

    def __next__(self) -> Notification:
        while not self._stopped.is_set():
            if self._page:
                return self._page.popleft()
            self._stopped.wait(self._pull())
        raise StopIteration

    def _pull(self) -> float:
        """Read the next page; return for how many seconds there is nothing more to do."""
        try:
            page, reached = self._recorder.page(self._position, PAGE, self._topics)
        except OperationalError as error:
            log.warning("subscription_waits", error=str(error), position=self._position)
            return OUTAGE_SECONDS
        moved, self._position = reached > self._position, reached
        self._page.extend(page)
        return 0 if moved else IDLE_SECONDS
