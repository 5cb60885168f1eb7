"""How an event stream is sent (HTML Living Standard, 9.2), and how its end is noticed."""

import asyncio
import random
from typing import Any

import structlog
from litestar import Response
from litestar.types import HTTPSendMessage, Receive, Scope, Send

from api.read.answers import position_header
from api.read.live.hub import OUTAGE_SECONDS, Hub
from api.read.live.listener import Listener
from api.request_context import context_of
from event_store.records import StoreUnavailable

HEARTBEAT_SECONDS = 15.0
SENDING_SECONDS = 10.0  # how long a client may take nothing of what is sent to it
RETRY_MS = (2_000, 5_000)  # so that those who were parted at once do not come back at once

log = structlog.get_logger(__name__)


class EventStream(Response[Any]):
    """The answer that goes on for as long as the client listens; `first` is sent at once."""

    def __init__(self, hub: Hub, listener: Listener, first: bytes) -> None:
        """Take a listener that the hub has counted in; it is counted out when the stream ends."""
        self._hub, self._listener, self._first = hub, listener, first
        self.status_code = 200

    def to_asgi_response(self, *_: Any, **__: Any) -> "EventStream":  # type: ignore[override]  # Litestar only calls what comes back
        """Return what sends this answer: itself."""
        return self

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it. The server says through `receive`, at once, that a client has left."""
        leaving = asyncio.create_task(notice_leaving(receive, self._listener))
        try:
            await send(started(self._listener.position))
            if not context_of(scope).wants_head:
                await self._send_all(send)
            if self._listener.ending != "slow":
                await send(body(b"", more=False))
        except TimeoutError:
            self._listener.end("slow")
        finally:
            leaving.cancel()
            self._hub.close(self._listener)
            if self._listener.ending == "slow":
                log.info("live_client_too_slow", user_id=str(self._listener.caller.user_id))

    async def _send_all(self, send: Send) -> None:
        listener = self._listener
        # With an id at once, so that who is parted before anything happens resumes all the same.
        retry = random.randint(*RETRY_MS)  # noqa: S311 - not a secret
        await put(send, b"retry: %d\n%b%b" % (retry, self._first, sign_of_life(listener)))
        while listener.ending is None:
            frames = await self._next()
            if listener.ending is None:
                await put(send, frames or sign_of_life(listener))

    async def _next(self) -> bytes:
        """Return what is to be sent next; b"" when there was nothing for a while."""
        listener = self._listener
        while not listener.live:
            try:
                frames = await self._hub.catch_up(listener)
            except StoreUnavailable:
                return await listener.woken(OUTAGE_SECONDS)
            if frames or listener.ending:
                return frames
        frames = await listener.woken(HEARTBEAT_SECONDS)
        listener.position = max(listener.position, self._hub.position)
        return frames


async def put(send: Send, frames: bytes) -> None:
    """Send something; `TimeoutError` if the client does not take it."""
    async with asyncio.timeout(SENDING_SECONDS):
        await send(body(frames, more=True))


async def notice_leaving(receive: Receive, listener: Listener) -> None:
    """End the stream when the client has left."""
    while (await receive())["type"] != "http.disconnect":
        pass
    listener.end("left")


def sign_of_life(listener: Listener) -> bytes:
    """Return a heartbeat, which says up to where there was nothing for this client."""
    return b": heartbeat\nid: %d\n\n" % listener.position


def started(position: int) -> HTTPSendMessage:
    """Return the head of the answer."""
    headers = [
        (b"content-type", b"text/event-stream"),
        (b"x-accel-buffering", b"no"),  # a proxy is to pass on what comes
        position_header(position),
    ]
    return {"type": "http.response.start", "status": 200, "headers": headers}


def body(content: bytes, *, more: bool) -> HTTPSendMessage:
    """Return a part of the answer."""
    return {"type": "http.response.body", "body": content, "more_body": more}
