"""What is known of a request before it is routed, and what every answer carries."""

import re
from collections.abc import Mapping
from random import getrandbits
from typing import Any, cast
from uuid import UUID

import msgspec
import structlog
from litestar.enums import HttpMethod, ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from api.addresses import UNKNOWN, Addresses

IDENTIFIER = re.compile(r"[A-Za-z0-9._-]{1,128}")
# W3C Trace Context, 3.2: version, trace id, parent id, flags; later versions may add more.
TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-.*")

ALWAYS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
)
API_POLICY = (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'")
NO_STORE = (b"cache-control", b"no-store")
# What anybody may see may be kept, but used only after asking whether it is still so (by its ETag):
# a cache between would break what Daybook-Min-Position promises.
NO_CACHE = (b"cache-control", b"no-cache")
# Only said over TLS (RFC 6797, 7.2); a year, as ASVS 3.4.1 asks.
TRANSPORT_SECURITY = (b"strict-transport-security", b"max-age=31536000; includeSubDomains")


# Of these a second line could mean something else to a proxy or a log than it means here.
SINGLE = frozenset(
    {
        b"authorization",
        b"content-length",
        b"content-type",
        b"daybook-min-position",
        b"host",
        b"idempotency-key",
        b"if-match",
        b"last-event-id",
    }
)


class Caller(msgspec.Struct, frozen=True):
    """Who asks, as the access token says; it was issued at a position and ends at a Unix time."""

    user_id: UUID
    session_id: UUID
    role: str
    position: int
    expires: int

    @property
    def is_staff(self) -> bool:
        """Tell whether the caller works here: staff or an administrator."""
        return self.role in {"staff", "admin"}


class Context(msgspec.Struct):
    """A request: its ids, its headers (lower-case names, the last of equal ones), who asks.

    `address` is the client's, as far as the proxies between are trusted; `doubtful` is what makes
    the headers ambiguous, if anything does.
    """

    request_id: str
    correlation_id: str
    headers: Mapping[bytes, bytes]
    caller: Caller | None = None
    address: str = UNKNOWN
    secure: bool = False
    doubtful: str | None = None
    wants_head: bool = False


def context_of(scope: Scope) -> Context:
    """Return the context that `InContext` gave to this request."""
    return cast("Context", scope["state"]["context"])


class InContext:
    """Gives every request its context and every answer its headers, errors of the router too."""

    def __init__(self, app: ASGIApp, addresses: Addresses) -> None:
        """`app` is everything inside."""
        self._app, self._addresses = app, addresses

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] != ScopeType.HTTP:
            await self._app(scope, receive, send)
            return
        context = new_context(dict(scope["headers"]))
        context.address = self._addresses.of(scope)
        context.secure = self._addresses.secure(scope)
        context.doubtful = doubtful(scope, context.headers)
        scope["state"]["context"] = context
        tokens = structlog.contextvars.bind_contextvars(
            request_id=context.request_id, correlation_id=context.correlation_id
        )
        context.wants_head = scope["method"] == "HEAD"
        if context.wants_head:
            # What GET would answer, without its body (RFC 9110, 9.3.2).
            scope["method"] = HttpMethod.GET
        try:
            await self._app(scope, receive, finishing(context, send))
        finally:
            structlog.contextvars.reset_contextvars(**tokens)


def finishing(context: Context, send: Send) -> Send:
    """Return a `send` that adds the headers of every answer, and keeps the body of a HEAD back."""

    async def finish(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = [completed(*one) for one in message["headers"]]
            message["headers"] = [*headers, *added(context, headers)]
        elif context.wants_head and message["type"] == "http.response.body":
            message["body"] = b""
        await send(message)

    return finish


def completed(name: bytes, value: bytes) -> tuple[bytes, bytes]:
    """Return a header of the answer; who may GET may HEAD, and anybody may ask for OPTIONS."""
    if name != b"allow":
        return name, value
    methods = {method.strip() for method in value.split(b",")} | {b"OPTIONS"}
    return name, b", ".join(sorted(methods | ({b"HEAD"} if b"GET" in methods else set())))


def added(context: Context, headers: Any) -> list[tuple[bytes, bytes]]:
    """Return the headers to add to an answer that has some already."""
    present = {name for name, _ in headers}
    more = [(b"x-request-id", context.request_id.encode()), *ALWAYS]
    if API_POLICY[0] not in present:
        more.append(API_POLICY)
    if NO_STORE[0] not in present:
        more.append(NO_STORE if b"authorization" in context.headers else NO_CACHE)
    if context.secure:
        more.append(TRANSPORT_SECURITY)
    return more


def new_context(headers: Mapping[bytes, bytes]) -> Context:
    """Make the context of a request with these headers."""
    request_id = identifier(headers.get(b"x-request-id")) or new_request_id()
    correlation_id = (
        identifier(headers.get(b"x-correlation-id"))
        or trace_id(headers.get(b"traceparent"))
        or request_id
    )
    return Context(request_id, correlation_id, headers)


def doubtful(scope: Scope, headers: Mapping[bytes, bytes]) -> str | None:
    """Return what is ambiguous about a request's headers (RFC 9110, 5.3; RFC 9112, 3.2)."""
    # granian gives an empty one where there is none.
    if not headers.get(b"host") and scope.get("http_version") == "1.1":
        return "A Host header is needed."
    lines = [name for name, _ in scope["headers"]]
    if len(lines) == len(headers):
        return None
    twice = sorted(name for name in SINGLE if lines.count(name) > 1)
    return f"The header {twice[0].decode()} is given twice." if twice else None


def new_request_id() -> str:
    """Return an id that no other request has; it is no secret.

    Asking the system for randomness takes up to a sixth of the time of a read.
    """
    return f"{getrandbits(128):032x}"


def identifier(value: bytes | None) -> str | None:
    """Return a client's identifier if it is harmless in headers, logs and the event log."""
    text = value.decode("latin-1") if value else ""
    return text if IDENTIFIER.fullmatch(text) else None


def trace_id(value: bytes | None) -> str | None:
    """Return the trace id of a W3C traceparent header, if it is one."""
    match = TRACEPARENT.fullmatch(value.decode("latin-1")) if value else None
    return match.group(1) if match else None
