"""Rate limits over HTTP: who is counted, what a refusal says, and the headers of every answer."""

import time

from litestar import Request
from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from api.addresses import network_of
from api.authentication import Authentication
from api.envelope import Answer, Failure, Headers
from api.errors import AnyRequest, NotSignedIn, failure
from api.limiter import Limit, Limiter, Told
from api.rate_headers import SHARED, rate_headers, retry_after, whole_seconds
from api.request_context import Context, context_of
from api.routes import UNCOUNTED
from event_store.records import StoreUnavailable

UNCOUNTED_METHODS = frozenset({"OPTIONS"})  # asked by browsers by themselves
POLICY = b"default"


class Limited:
    """Counts requests before they are routed, so that also those to nowhere count."""

    def __init__(
        self,
        app: ASGIApp,
        limiter: Limiter,
        authentication: Authentication,
        told: Told = lambda _: None,
    ) -> None:
        """`app` is everything inside; `told` hears `refused` for each request that was refused."""
        self._app, self._limiter, self._told = app, limiter, told
        self._authentication = authentication

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] != ScopeType.HTTP or is_uncounted(scope["method"], scope["path"]):
            await self._app(scope, receive, send)
            return
        verdict = await self._limiter.use(key_of(context_of(scope), self._authentication))
        limit, wait = self._limiter.limit, whole_seconds(verdict.resets - time.monotonic())
        left = max(0, verdict.remaining)
        headers = rate_headers(POLICY, limit.requests, limit.seconds, left, wait)
        if verdict.allowed:
            await self._app(scope, receive, adding(headers, send))
            return
        self._told("refused")
        request: AnyRequest = Request(scope)
        answer = refusal(request, headers, limit, wait)
        await answer.to_asgi_response(request=request)(scope, receive, send)


def is_uncounted(method: str, path: str) -> bool:
    """Tell whether a request costs nobody anything."""
    return path in UNCOUNTED or method in UNCOUNTED_METHODS


def key_of(context: Context, authentication: Authentication) -> str:
    """Return who is counted: the user of a good token, else the address."""
    try:
        caller = authentication.caller_of(context)
    except (NotSignedIn, StoreUnavailable):
        caller = None  # guesses at tokens count for the address
    return f"user:{caller.user_id}" if caller else f"address:{network_of(context.address)}"


def refusal(request: AnyRequest, headers: Headers, limit: Limit, wait: int) -> Answer[Failure]:
    """Answer a request that is one too many."""
    return failure(
        request,
        "RATE_LIMITED",
        f"These were more than {limit.requests} requests in {span(limit.seconds)}:"
        f" the next one is taken in {wait} seconds.",
        headers=[*headers, retry_after(wait)],
    )


def span(seconds: int) -> str:
    """Return a length of time in words."""
    for unit, length in (("hour", 3_600), ("minute", 60)):
        if seconds % length == 0:
            return f"{seconds // length} {unit}{'s' if seconds > length else ''}"
    return f"{seconds} seconds"


def adding(headers: Headers, send: Send) -> Send:
    """Return a `send` that adds headers to the answer."""

    async def with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            present = {name for name, _ in message["headers"]} - SHARED
            more = [(name, value) for name, value in headers if name not in present]
            message["headers"] = [*message["headers"], *more]
        await send(message)

    return with_headers
