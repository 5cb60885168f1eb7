"""Cross-origin requests: which web pages elsewhere may read answers (the Fetch standard, 3.2).

There are no cookies, so a browser sends no credentials by itself; still nobody is let in unless
listed.
"""

from collections.abc import Iterable

from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send

METHODS = b"DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"
ASKED = (
    b"accept, authorization, content-type, daybook-min-position, idempotency-key, if-match,"
    b" if-none-match, last-event-id, prefer, traceparent, x-correlation-id, x-request-id"
)
EXPOSED = (
    b"daybook-head-size, daybook-position, deprecation, etag, idempotency-replayed, link, location,"
    b" ratelimit, ratelimit-limit, ratelimit-policy, ratelimit-remaining, ratelimit-reset,"
    b" retry-after, www-authenticate, x-request-id"
)
MAX_AGE = b"600"
VARY = (b"vary", b"origin")


class Cors:
    """Tells browsers that pages of listed origins may read the answers."""

    def __init__(self, app: ASGIApp, origins: Iterable[str]) -> None:
        """`app` is everything inside; an origin is a scheme, a host and perhaps a port."""
        self._app = app
        self._origins = frozenset(origin.encode("latin-1") for origin in origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] != ScopeType.HTTP:
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        origin = headers.get(b"origin")
        allowed = origin if origin in self._origins else None
        if allowed and scope["method"] == "OPTIONS" and b"access-control-request-method" in headers:
            await preflight(allowed, send)
            return
        await self._app(scope, receive, adding(allowed, send))


async def preflight(origin: bytes, send: Send) -> None:
    """Answer a browser that asks before it sends what a page wants."""
    headers = [
        VARY,
        (b"access-control-allow-origin", origin),
        (b"access-control-allow-methods", METHODS),
        (b"access-control-allow-headers", ASKED),
        (b"access-control-max-age", MAX_AGE),
    ]
    await send({"type": "http.response.start", "status": 204, "headers": headers})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


def adding(origin: bytes | None, send: Send) -> Send:
    """Return a `send` that says whether a page of this origin may read the answer."""
    more = [VARY]
    if origin:
        more += [
            (b"access-control-allow-origin", origin),
            (b"access-control-expose-headers", EXPOSED),
        ]

    async def with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message["headers"], *more]
        await send(message)

    return with_headers
