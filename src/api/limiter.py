"""The rate limiter of a process: exact over all processes, at one round trip for many requests."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence

import msgspec
import structlog

from api.windows import OwnWindows, RedisWindows, Verdict

MOST_A_CALL = 256
# While Redis is away, one request after this time finds out whether it is back; each time that it
# is not, the next one comes after twice the time.
SECONDS_TO_LEAVE_REDIS_ALONE = 1.0
MOST_SECONDS_ALONE = 16.0
SECONDS_BETWEEN_WARNINGS = 30.0
MOST_REFUSED_KEYS = 100_000

log = structlog.get_logger(__name__)

Told = Callable[[str], None]
Waiting = tuple[str, asyncio.Future[Verdict]]


class Limit(msgspec.Struct, frozen=True):
    """So many requests within so many seconds, for each who asks."""

    requests: int
    seconds: int


class Limiter:
    """Counts requests by key. What comes while a call is under way goes with the next one.

    A key that was refused is refused here until its window moves, without asking again: that can
    only become true earlier by an operator's deleting keys. `told` hears `fallback` for each
    request that was counted in this process because Redis is away.
    """

    def __init__(self, redis_url: str, limit: Limit, told: Told = lambda _: None) -> None:
        self.limit = limit
        self._shared = RedisWindows(redis_url, limit.requests, limit.seconds)
        self._own = OwnWindows(limit.requests, limit.seconds)
        self._told = told
        self._waiting: deque[Waiting] = deque()
        self._refused: dict[str, Verdict] = {}
        self._task: asyncio.Task[None] | None = None
        self._alone_until = float("-inf")
        self._pause = 0.0  # seconds; 0: Redis has answered the last time
        self._warned = float("-inf")

    async def use(self, key: str) -> Verdict:
        """Count one request of a key."""
        now = time.monotonic()
        if known := self._refused.get(key):
            if known.resets > now:
                return known
            del self._refused[key]
        if now < self._alone_until or (self._pause and self._task is not None):
            return self._use_own(key)  # nobody waits for somebody else's trying
        future: asyncio.Future[Verdict] = asyncio.get_running_loop().create_future()
        self._waiting.append((key, future))
        if self._task is None:
            self._task = asyncio.create_task(self._send_all(), name="limiter")
        return await future

    async def close(self) -> None:
        """Answer who waits, and hang up."""
        if self._task is not None:
            await self._task
        await self._shared.close()

    async def _send_all(self) -> None:
        try:
            while self._waiting:
                await self._send([self._waiting.popleft() for _ in range(self._size())])
        finally:
            self._task = None

    def _size(self) -> int:
        return min(len(self._waiting), MOST_A_CALL)

    async def _send(self, group: list[Waiting]) -> None:
        for (key, future), verdict in zip(group, await self._verdicts(group), strict=True):
            if not verdict.allowed:
                self._remember(key, verdict)
            if not future.done():
                future.set_result(verdict)

    async def _verdicts(self, group: Sequence[Waiting]) -> list[Verdict]:
        if time.monotonic() < self._alone_until:
            return [self._use_own(key) for key, _ in group]
        try:
            verdicts = await self._shared.use([key for key, _ in group])
        except Exception as error:  # noqa: BLE001 - whatever it was, requests are still counted
            self._leave_alone(error)
            return [self._use_own(key) for key, _ in group]
        self._pause = 0.0
        return verdicts

    def _use_own(self, key: str) -> Verdict:
        self._told("fallback")
        return self._own.use(key)

    def _remember(self, key: str, verdict: Verdict) -> None:
        if len(self._refused) >= MOST_REFUSED_KEYS:
            self._refused.clear()
        self._refused[key] = verdict

    def _leave_alone(self, error: Exception) -> None:
        now = time.monotonic()
        self._pause = min(self._pause * 2 or SECONDS_TO_LEAVE_REDIS_ALONE, MOST_SECONDS_ALONE)
        self._alone_until = now + self._pause
        if now - self._warned >= SECONDS_BETWEEN_WARNINGS:
            self._warned = now
            effect = "each process counts requests by itself"
            log.warning("redis_down", error=type(error).__name__, effect=effect)
