"""The shape of every answer: success or failure around the data, and how it becomes bytes."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Generic, Literal, TypeVar

import msgspec
from litestar import Request, Response
from litestar.types import Receive, Scope, Send

from api.negotiation import PROBLEM_TYPE, VARY, problem, wants_problem
from api.request_context import context_of
from domain.refusal import Detail

T = TypeVar("T")
Data = TypeVar("Data")
Headers = Sequence[tuple[bytes, bytes]]

ENCODER = msgspec.json.Encoder(decimal_format="string")
JSON_TYPE = (b"content-type", b"application/json")


class Meta(msgspec.Struct, frozen=True, rename="camel"):
    """When the answer was made (RFC 3339, UTC, milliseconds) and for which request."""

    timestamp: str
    request_id: str


class Pagination(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """Where a page lies in its list; `totalIsEstimate` is there only if `total` was not counted."""

    page: int
    limit: int
    total: int
    total_pages: int
    has_next: bool
    has_prev: bool
    total_is_estimate: bool = False


class CursorPagination(msgspec.Struct, frozen=True):
    """Where to go on: the cursors of what follows and of what comes before, null at the ends."""

    next: str | None
    prev: str | None
    limit: int


class Success(msgspec.Struct, Generic[Data], frozen=True, kw_only=True):
    """What a request led to."""

    success: Literal[True] = True
    data: Data
    meta: Meta


class Page(msgspec.Struct, Generic[Data], frozen=True, kw_only=True):
    """One page of a list."""

    success: Literal[True] = True
    data: list[Data]
    pagination: Pagination
    meta: Meta


class Stretch(msgspec.Struct, Generic[Data], frozen=True, kw_only=True):
    """A part of a list, with the cursors of its neighbours."""

    success: Literal[True] = True
    data: list[Data]
    pagination: CursorPagination
    meta: Meta


class Error(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why a request was refused: a stable code, a sentence, the fields at fault."""

    code: str
    message: str
    details: tuple[Detail, ...] = ()


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """A request that was refused, or that failed."""

    success: Literal[False] = False
    error: Error
    meta: Meta


def meta(request_id: str) -> Meta:
    """Return the meta part of an answer made now."""
    return meta_of(datetime.now(UTC), request_id)


def meta_of(moment: datetime, request_id: str) -> Meta:
    """Return the meta part of an answer that was made at a moment, in UTC."""
    return Meta(moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"), request_id)


def pagination(page: int, limit: int, total: int, *, counted: bool = True) -> Pagination:
    """Return where page number `page` (from 1) lies in a list of `total` entries."""
    pages = -(-total // limit)
    return Pagination(page, limit, total, pages, page < pages, page > 1, not counted)


class Answer(Response[T]):
    """An answer of Daybook; `headers` are raw, the content is encoded as JSON unless it is None."""

    def __init__(self, content: T, *, status: int = 200, headers: Headers = ()) -> None:
        """Litestar's own settings (cookies, background tasks) are left out: they cost 10 us."""
        self.content, self.status_code, self.sent_headers = content, status, headers

    def to_asgi_response(  # type: ignore[override]  # Litestar only calls what comes back
        self, *_: Any, request: Request[Any, Any, Any], **__: Any
    ) -> "SentAnswer":
        """Return what sends this answer; a failure in the form that the client accepts."""
        status = self.status_code or 200
        if isinstance(self.content, Failure):
            return sent_failure(status, self.content, self.sent_headers, request)
        body = b"" if self.content is None else ENCODER.encode(self.content)
        return SentAnswer(status, body, self.sent_headers)


def sent_failure(
    status: int, failure: Failure, headers: Headers, request: Request[Any, Any, Any]
) -> "SentAnswer":
    """Return what sends a failure: in its envelope, or as a problem if the client wants that."""
    accept = context_of(request.scope).headers.get(b"accept")
    if accept is None or not wants_problem(accept):
        return SentAnswer(status, ENCODER.encode(failure), [*headers, VARY])
    error, made = failure.error, failure.meta
    body = problem(
        status=status,
        code=error.code,
        message=error.message,
        details=error.details,
        timestamp=made.timestamp,
        request_id=made.request_id,
    )
    return SentAnswer(status, ENCODER.encode(body), [*headers, VARY, PROBLEM_TYPE])


class SentAnswer:
    """An answer as the server gets it: two ASGI messages."""

    def __init__(self, status: int, body: bytes, headers: Headers) -> None:
        self._status, self._body = status, body
        self._headers = [*headers]
        if body:
            self._headers.append((b"content-length", str(len(body)).encode()))
            if not any(name == JSON_TYPE[0] for name, _ in headers):
                self._headers.append(JSON_TYPE)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI
        """Send it."""
        await send(
            {"type": "http.response.start", "status": self._status, "headers": self._headers}
        )
        await send({"type": "http.response.body", "body": self._body, "more_body": False})
