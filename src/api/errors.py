"""How a request is refused over HTTP: which code has which status, and what a failure may say."""

from typing import Any

import structlog
from litestar import Request
from litestar.exceptions import HTTPException, ValidationException
from litestar.types import ExceptionHandlersMap
from psycopg.errors import ReadOnlySqlTransaction

from api.envelope import Answer, Error, Failure, Headers, meta
from api.rate_headers import rate_headers, retry_after, whole_seconds
from api.request_context import context_of
from domain.refusal import Detail, Refusal
from domain.session import TooManyFailures
from event_store.event_types import UnknownEvent
from event_store.records import StoreOverloaded, StoreUnavailable

log = structlog.get_logger(__name__)

AnyRequest = Request[Any, Any, Any]

STATUSES = {
    "MALFORMED_REQUEST": 400,
    "UNAUTHENTICATED": 401,
    "TOKEN_EXPIRED": 401,
    "INVALID_CREDENTIALS": 401,
    "REFRESH_REUSED": 401,
    "FORBIDDEN": 403,
    "NOT_FOUND": 404,
    "METHOD_NOT_ALLOWED": 405,
    "EMAIL_TAKEN": 409,
    "SKU_TAKEN": 409,
    "OUT_OF_STOCK": 409,
    "INVALID_STATE": 409,
    "VERSION_CONFLICT": 409,
    "PRECONDITION_FAILED": 412,
    "PAYLOAD_TOO_LARGE": 413,
    "UNSUPPORTED_MEDIA_TYPE": 415,
    "VALIDATION_ERROR": 422,
    "IDEMPOTENCY_KEY_REUSED": 422,
    "RATE_LIMITED": 429,
    "INTERNAL_ERROR": 500,
    "UNAVAILABLE": 503,
    "VIEW_BEHIND": 503,
}

# What Litestar itself refuses: which of our codes it is, and our sentence instead of its own.
ROUTER = {
    404: ("NOT_FOUND", "There is no such resource."),
    405: ("METHOD_NOT_ALLOWED", "The resource does not take this method; Allow lists its methods."),
    413: ("PAYLOAD_TOO_LARGE", "The body is larger than 1 MiB."),
    415: ("UNSUPPORTED_MEDIA_TYPE", "The body must be JSON: Content-Type: application/json."),
}
MALFORMED = ("MALFORMED_REQUEST", "The request cannot be understood.")
OURS = ("INTERNAL_ERROR", "Something went wrong here. Tell the operator this request's id.")

LOGINS = b"login"
LARGEST_INTEGER_SHOWN = 2**53
LONGEST_TEXT_SHOWN = 200


class MalformedRequest(Refusal):
    """It cannot be understood: its JSON, a parameter, an id or a header."""

    code = "MALFORMED_REQUEST"
    sentence = "The request cannot be understood."


class PayloadTooLarge(Refusal):
    """The body is too large."""

    code = "PAYLOAD_TOO_LARGE"
    sentence = ROUTER[413][1]


class UnsupportedMediaType(Refusal):
    """The body is not JSON."""

    code = "UNSUPPORTED_MEDIA_TYPE"
    sentence = ROUTER[415][1]


class OtherVersion(Refusal):
    """The resource has another version than the one that If-Match wants."""

    code = "PRECONDITION_FAILED"
    sentence = "The resource has another version than If-Match wants."


class NotSignedIn(Refusal):
    """The request has no credentials, or bad ones."""

    code = "UNAUTHENTICATED"
    sentence = "Sign in first: send Authorization: Bearer and an access token."


class BadToken(NotSignedIn):
    """The access token is not, or no longer, good."""

    sentence = "The access token is not valid: sign in again."


class TokenExpired(BadToken):
    """The access token has had its time."""

    code = "TOKEN_EXPIRED"
    sentence = "The access token has expired: refresh the session."


def failure(
    request: AnyRequest,
    code: str,
    message: str,
    details: tuple[Detail, ...] = (),
    *,
    headers: Headers = (),
) -> Answer[Failure]:
    """Make the answer to a request that is refused or failed."""
    body = Failure(
        error=Error(code, message, tuple(harmless(detail) for detail in details)),
        meta=meta(context_of(request.scope).request_id),
    )
    return Answer(body, status=STATUSES[code], headers=headers)


def harmless(detail: Detail) -> Detail:
    """Return a detail without a value, and with no text, that is too large to send back."""
    value = detail.value
    too_long = isinstance(value, str) and len(value) > LONGEST_TEXT_SHOWN
    too_large = isinstance(value, int) and abs(value) > LARGEST_INTEGER_SHOWN
    return Detail(
        detail.field[:LONGEST_TEXT_SHOWN],
        detail.message[:LONGEST_TEXT_SHOWN],
        None if too_long or too_large else value,
    )


def refused(request: AnyRequest, refusal: Refusal) -> Answer[Failure]:
    """Answer a refusal; those of credentials and permissions are logged (ASVS 16.3.1-2)."""
    status = STATUSES[refusal.code]
    if status in {401, 403, 429}:
        note_refusal(request, refusal.code)
    headers: list[tuple[bytes, bytes]] = []
    if status == STATUSES["UNAUTHENTICATED"]:
        headers = [(b"www-authenticate", challenge(refusal))]
    elif isinstance(refusal, TooManyFailures):
        wait = whole_seconds(refusal.wait)
        limit = rate_headers(LOGINS, refusal.most, refusal.span, 0, wait)
        headers = [*limit, retry_after(wait)]
    return failure(request, refusal.code, refusal.message, refusal.details, headers=headers)


def challenge(refusal: Refusal) -> bytes:
    """Return the challenge of RFC 6750, 3: it names an error only where there was a token."""
    return b'Bearer error="invalid_token"' if isinstance(refusal, BadToken) else b"Bearer"


def note_refusal(request: AnyRequest, code: str) -> None:
    """Log who was refused what."""
    caller = context_of(request.scope).caller
    log.info(
        "request_refused",
        code=code,
        method=request.scope["method"],
        path=request.scope["path"],
        user_id=str(caller.user_id) if caller else None,
        address=context_of(request.scope).address,
    )


def unavailable(request: AnyRequest, error: StoreUnavailable) -> Answer[Failure]:
    """Answer while Postgres is away or slow."""
    busy = isinstance(error, StoreOverloaded)
    log.warning("store_unavailable", reason=str(error), path=request.scope["path"])
    message = (
        "Too many commands are waiting: nothing was changed, try again in a moment."
        if busy
        else "The database gives no answer right now: try again in a moment."
    )
    return failure(request, "UNAVAILABLE", message, headers=[(b"retry-after", b"1")])


def written_by_newer(request: AnyRequest, error: UnknownEvent) -> Answer[Failure]:
    """Answer while a stream holds what a newer release wrote: its processes can go on with it."""
    log.warning("unknown_event", reason=str(error), path=request.scope["path"])
    message = "A newer release has changed this: it can be used again once all of it is in place."
    return failure(request, "UNAVAILABLE", message, headers=[(b"retry-after", b"5")])


def reading_alone(request: AnyRequest, error: ReadOnlySqlTransaction) -> Answer[Failure]:
    """Answer what must leave a record, such as an auditor's question, and cannot on a replica."""
    log.warning("read_only", reason=str(error), path=request.scope["path"])
    message = "This leaves a record, and here nothing can be written: ask where both sides are."
    return failure(request, "UNAVAILABLE", message, headers=[(b"retry-after", b"60")])


def refused_by_router(request: AnyRequest, error: HTTPException) -> Answer[Failure]:
    """Answer what Litestar refuses: routes, methods and parameters."""
    if error.status_code >= STATUSES["INTERNAL_ERROR"]:
        return failed(request, error)
    code, message = ROUTER.get(error.status_code, MALFORMED)
    allow = (error.headers or {}).get("allow")
    headers = [(b"allow", allow.encode())] if allow is not None else []
    return failure(request, code, message, details_of(error), headers=headers)


def details_of(error: HTTPException) -> tuple[Detail, ...]:
    """Return the parameters at fault, which Litestar lists under `extra`."""
    if not isinstance(error, ValidationException) or not isinstance(error.extra, list):
        return ()
    return tuple(
        Detail(str(wrong.get("key", "")), str(wrong.get("message", "")))
        for wrong in error.extra
        if isinstance(wrong, dict)
    )


def failed(request: AnyRequest, error: Exception) -> Answer[Failure]:
    """Answer a fault of ours; everything about it goes to the log and nothing to the client."""
    log.error(
        "request_failed",
        method=request.scope["method"],
        path=request.scope["path"],
        exc_info=(type(error), error, error.__traceback__),
    )
    return failure(request, *OURS)


HANDLERS: ExceptionHandlersMap = {
    Refusal: refused,
    StoreUnavailable: unavailable,
    UnknownEvent: written_by_newer,
    ReadOnlySqlTransaction: reading_alone,
    HTTPException: refused_by_router,
    Exception: failed,
}
