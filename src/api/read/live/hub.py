"""The one place of a process where the log is followed, for however many clients listen."""

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from itertools import chain
from uuid import UUID

import structlog

from api.read.live.events import NAMES, frame
from api.read.live.listener import Listener
from api.revocations import Revocations
from domain import order
from domain.refusal import NotFound
from event_store.event_types import UnknownEvent, UnreadableEvent
from event_store.news import Batch, News, NewsReader
from event_store.records import StoreUnavailable

POLL_SECONDS = 0.25  # other processes append too
LINGER_SECONDS = 0.01  # under load one reading serves many appends
OUTAGE_SECONDS = 1.0
SWEEP_SECONDS = 0.5
MOST_LISTENERS = 10_000
MOST_OF_ONE_USER = 100
# An order's first event says whose it is, before any view does.
BEGINNINGS = (order.OrderPlaced, order.OrderImported)

log = structlog.get_logger(__name__)


class Full(Exception):  # noqa: N818 - an answer of the hub
    """No further client can listen here now."""


class Hub:
    """Reads the log while somebody listens, and hands each event to those whom it concerns."""

    def __init__(self, reader: NewsReader, revocations: Revocations) -> None:
        self._reader, self._revocations = reader, revocations
        self._listeners: set[Listener] = set()
        self._by_user: Counter[UUID] = Counter()
        # Those who have caught up, by order; under None those who hear everything.
        self._live: defaultdict[UUID | None, set[Listener]] = defaultdict(set)
        self._position: int | None = None  # None: at rest
        self._news = asyncio.Event()
        # Set while it is known whose access token is no longer good.
        self._sighted = asyncio.Event()
        self._sighted.set()
        self._stopping = False

    @property
    def position(self) -> int:
        """Up to where everything was handed out, while somebody listens."""
        return self._position or 0

    @property
    def listeners(self) -> int:
        """How many clients listen."""
        return len(self._listeners)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Follow the log while the block lasts; at its end all streams end."""
        async with self._reader:
            tasks = [
                asyncio.create_task(self._follow(), name="live"),
                asyncio.create_task(self._sweep_again_and_again(), name="live sweep"),
            ]
            try:
                yield
            finally:
                self.stop()
                for task in tasks:
                    task.cancel()
                    with suppress(asyncio.CancelledError):
                        await task

    def stop(self) -> None:
        """End all streams and take no more: the process is about to end."""
        self._stopping = True
        for listener in self._listeners:
            listener.end("stopping")

    def wake(self, _position: int) -> None:
        """Say that this process has appended; returns at once."""
        if self._position is not None:
            self._news.set()

    def open(self, listener: Listener) -> None:
        """Count a client in; `Full` if there are too many."""
        user = listener.caller.user_id
        full = len(self._listeners) >= MOST_LISTENERS or self._by_user[user] >= MOST_OF_ONE_USER
        if self._stopping or full:
            raise Full
        self._listeners.add(listener)
        self._by_user[user] += 1

    def close(self, listener: Listener) -> None:
        """Forget a client."""
        self._listeners.discard(listener)
        self._by_user[listener.caller.user_id] -= 1
        if not self._by_user[listener.caller.user_id]:
            del self._by_user[listener.caller.user_id]
        if listener.live:
            self._live[listener.order_id].discard(listener)
            if not self._live[listener.order_id]:
                del self._live[listener.order_id]

    async def head(self) -> int:
        """Return the newest position of the log."""
        return await self._reader.head()

    async def catch_up(self, listener: Listener) -> bytes:
        """Return what a client has missed, some of it at a time; the last time it goes live.

        Raises `NotFound` if there is no such order, or somebody else's for a customer.
        """
        batch = await self._read(listener)
        frames = []
        for news in batch.news:
            if news.position > listener.position:
                try:
                    frames.append(frame(news, for_staff=listener.for_staff))
                except (UnknownEvent, UnreadableEvent) as error:
                    if not frames:
                        self._give_up([listener], news, error)
                    listener.position = news.position - 1
                    return b"".join(frames)
        listener.position = max(listener.position, batch.reached)
        if not batch.full and not self._joined(listener):
            await asyncio.sleep(LINGER_SECONDS)
        return b"".join(frames)

    async def _read(self, listener: Listener) -> Batch:
        if listener.order_id is None:
            return await self._reader.in_all(listener.position, NAMES)
        batch = await self._reader.in_one(listener.order_id, listener.position)
        first = batch.news[0].event() if batch.news else None
        if not isinstance(first, BEGINNINGS):
            raise NotFound
        if first.user_id != listener.caller.user_id and not listener.for_staff:
            raise NotFound
        return batch

    def _joined(self, listener: Listener) -> bool:
        """Go live, unless something was handed out meanwhile that the client has not read."""
        if self._position is None:
            self._position = listener.position
        if self._position > listener.position:
            return False
        self._live[listener.order_id].add(listener)
        listener.live = True
        self._news.set()
        return True

    async def _follow(self) -> None:
        while True:
            if not self._live:
                self._position = None
                await self._news.wait()
            else:
                with suppress(TimeoutError):
                    async with asyncio.timeout(POLL_SECONDS):
                        await self._news.wait()
            self._news.clear()
            if self._position is not None:
                await self._hand_out(self._position)

    async def _hand_out(self, after: int) -> None:
        try:
            batch = await self._reader.in_all(after, NAMES)
        except StoreUnavailable:
            await asyncio.sleep(OUTAGE_SECONDS)
            return
        except Exception:
            log.exception("live_failed")
            await asyncio.sleep(OUTAGE_SECONDS)
            return
        await self._sighted.wait()
        for news in batch.news:
            self._hand_to_all_concerned(news)
        self._position = batch.reached
        if batch.full:
            self._news.set()
        await asyncio.sleep(LINGER_SECONDS)

    def _hand_to_all_concerned(self, news: News) -> None:
        concerned = [self._live.get(key, ()) for key in (None, news.stream_id)]
        frames: dict[bool, bytes] = {}
        for listener in chain(*concerned):
            if listener.for_staff not in frames:
                try:
                    frames[listener.for_staff] = frame(news, for_staff=listener.for_staff)
                except (UnknownEvent, UnreadableEvent) as error:
                    self._give_up(chain(*concerned), news, error)
                    return
            if shown := frames[listener.for_staff]:
                listener.take(news.position, shown)

    def _give_up(self, listeners: Iterable[Listener], news: News, error: Exception) -> None:
        """End streams before an event that this release cannot show; they are not to skip it."""
        log.error("live_unreadable", position=news.position, error=str(error))
        for listener in listeners:
            listener.end("unreadable")

    async def _sweep_again_and_again(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            try:
                self._sweep(time.time())
                self._sighted.set()
            except StoreUnavailable:
                self._sighted.clear()

    def _sweep(self, now: float) -> None:
        """End the streams of those whose access token is no longer good."""
        for listener in self._listeners:
            caller = listener.caller
            if now >= caller.expires or self._revocations.revoked(
                caller.user_id, caller.session_id, caller.position
            ):
                listener.end("revoked")
