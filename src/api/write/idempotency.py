"""Idempotency keys over HTTP: which requests are the same, and what a repetition is told."""

import hmac
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

import msgspec
from litestar.types import ExceptionHandlersMap

from api.envelope import Answer, Failure, meta_of
from api.errors import AnyRequest, MalformedRequest, refused
from api.request import ApiRequest
from api.request_context import context_of
from commands.receipts import RememberedRefusal
from event_store.records import IdempotencyKey

HEADER = b"idempotency-key"
REPLAYED = (b"idempotency-replayed", b"true")
KEY = re.compile(rb"[\x21-\x7e](?:[\x20-\x7e]{0,253}[\x21-\x7e])?")


class Memory(msgspec.Struct, frozen=True):
    """How requests are remembered: for how long, and under which secrets they are compared.

    The newest secret comes first; what was remembered under an older one is still known.

    A body may hold a password, and a plain hash of it could be guessed from a stolen database.
    """

    lifetime: timedelta
    secrets: Callable[[], Sequence[bytes]]

    def key_of(self, request: ApiRequest, body: bytes, caller: str) -> IdempotencyKey | None:
        """Return the key of a request, if it has one; `MalformedRequest` if it is not one."""
        given = [value for name, value in request.scope["headers"] if name == HEADER]
        if not given:
            return None
        if len(given) > 1 or not KEY.fullmatch(given[0]):
            raise MalformedRequest("Idempotency-Key must be 1 to 255 printable ASCII characters.")
        asked = b"\n".join([request.scope["method"].encode(), request.scope["path"].encode(), body])
        new, *former = (hmac.digest(one, asked, "sha256").hex() for one in self.secrets())
        expires_at = datetime.now(UTC) + self.lifetime
        return IdempotencyKey(caller, given[0].decode(), new, expires_at, tuple(former))


def refused_as_before(request: AnyRequest, refusal: RememberedRefusal) -> Answer[Failure]:
    """Answer a refusal that is remembered: in the same words to every repetition."""
    answer = refused(request, refusal)
    body = msgspec.structs.replace(answer.content, meta=meta_of(refusal.at, refusal.request_id))
    headers = [*answer.sent_headers, *([REPLAYED] if refusal.repeated else [])]
    return Answer(body, status=answer.status_code or 500, headers=headers)


EXCEPTION_HANDLERS: ExceptionHandlersMap = {RememberedRefusal: refused_as_before}


def anonymous_caller(request: AnyRequest) -> str:
    """Return the scope of keys of somebody who is not signed in: the address."""
    return f"anonymous:{context_of(request.scope).address}"
