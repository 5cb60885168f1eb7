"""One client of an event stream: what waits to be sent to it, and why it ends."""

import asyncio
from collections import deque
from contextlib import suppress
from typing import Literal
from uuid import UUID

from api.request_context import Caller

# A page of the log fits twice; a client with more than that waiting does not keep up.
MOST_WAITING = 1_000

Ending = Literal["left", "slow", "revoked", "stopping", "unreadable"]


class Listener:
    """Gets frames from the hub and gives them to the one task that sends them.

    `order_id` None: it hears everything. `position`: all up to there was handed over, or was not
    for it.
    """

    def __init__(
        self, caller: Caller, position: int, order_id: UUID | None, *, for_staff: bool
    ) -> None:
        self.caller, self.position, self.order_id = caller, position, order_id
        self.for_staff = for_staff
        self.live = False
        self.ending: Ending | None = None
        self._waiting: deque[bytes] = deque()
        self._woken = asyncio.Event()

    def take(self, position: int, frame: bytes) -> None:
        """Let a frame wait to be sent; a client that lets too many wait is ended."""
        if position <= self.position or self.ending:
            return
        if len(self._waiting) >= MOST_WAITING:
            self.end("slow")
            return
        self._waiting.append(frame)
        self._woken.set()

    def end(self, ending: Ending) -> None:
        """Let nothing more be sent."""
        if self.ending is None:
            self.ending = ending
            self._waiting.clear()
            self._woken.set()

    async def woken(self, seconds: float) -> bytes:
        """Return what waits, once something does or it has ended; b"" after so many seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._woken.wait()
        self._woken.clear()
        frames = b"".join(self._waiting)
        self._waiting.clear()
        return frames
