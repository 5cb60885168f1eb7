"""Rate limits over HTTP: who is counted, what a refusal says, and the headers of every answer.

The headers are those of draft-ietf-httpapi-ratelimit-headers (11) and, for clients of its older
versions, RateLimit-Limit, -Remaining and -Reset.
"""

import math
import time

from litestar import Request
from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from api.addresses import network_of
from api.authentication import Authentication
from api.envelope import Answer, Failure, Headers
from api.errors import AnyRequest, NotSignedIn, failure
from api.limiter import Limit, Limiter, Told
from api.request_context import Context, context_of
from api.routes import UNCOUNTED
from api.windows import Verdict
from event_store.records import StoreUnavailable

UNCOUNTED_METHODS = frozenset({"OPTIONS"})  # asked by browsers by themselves
POLICY = "default"


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
        headers = rate_headers(POLICY, self._limiter.limit, verdict)
        if verdict.allowed:
            await self._app(scope, receive, adding(headers, send))
            return
        self._told("refused")
        request: AnyRequest = Request(scope)
        answer = refusal(request, headers, verdict, self._limiter.limit)
        await answer.to_asgi_response(request=request)(scope, receive, send)


def is_uncounted(method: str, path: str) -> bool:
    """Tell whether a request costs nobody anything."""
    return path.startswith(UNCOUNTED) or method in UNCOUNTED_METHODS


def key_of(context: Context, authentication: Authentication) -> str:
    """Return who is counted: the user of a good token, else the address."""
    try:
        caller = authentication.caller_of(context)
    except (NotSignedIn, StoreUnavailable):
        caller = None  # guesses at tokens count for the address
    return f"user:{caller.user_id}" if caller else f"address:{network_of(context.address)}"


def refusal(
    request: AnyRequest, headers: Headers, verdict: Verdict, limit: Limit
) -> Answer[Failure]:
    """Answer a request that is one too many."""
    wait = b"%d" % seconds_until(verdict)
    return failure(
        request,
        "RATE_LIMITED",
        f"These were more than {limit.requests} requests in {span(limit.seconds)}:"
        f" the next one is taken in {wait.decode()} seconds.",
        headers=[*headers, (b"retry-after", wait)],
    )


def rate_headers(policy: str, limit: Limit, verdict: Verdict) -> Headers:
    """Return the headers that say how much is left of a limit."""
    quota, left, wait = limit.requests, max(0, verdict.remaining), seconds_until(verdict)
    return [
        (b"ratelimit-policy", b'"%b";q=%d;w=%d' % (policy.encode(), quota, limit.seconds)),
        (b"ratelimit", b'"%b";r=%d;t=%d' % (policy.encode(), left, wait)),
        (b"ratelimit-limit", b"%d" % quota),
        (b"ratelimit-remaining", b"%d" % left),
        (b"ratelimit-reset", b"%d" % wait),
    ]


def seconds_until(verdict: Verdict) -> int:
    """Return the whole seconds until one more request is allowed; at least one."""
    return max(1, math.ceil(verdict.resets - time.monotonic()))


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
            message["headers"] = [*message["headers"], *headers]
        await send(message)

    return with_headers
