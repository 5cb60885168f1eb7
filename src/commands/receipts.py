"""What a command leaves with its asker, and how it is remembered under an idempotency key."""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Generic, TypeVar, get_type_hints
from uuid import UUID

import msgspec

from domain.refusal import Detail, Refusal
from event_store.records import IdempotencyKey, Repeated

Answer = TypeVar("Answer")


class Receipt(msgspec.Struct, Generic[Answer], frozen=True, kw_only=True):
    """What a command led to; `position` is where a view must be to show it.

    `at` and `request_id` are those of the first request under an idempotency key, `repeated` says
    that this was not the first.
    """

    id: UUID
    version: int
    position: int
    answer: Answer
    at: datetime
    request_id: str
    repeated: bool = False


class KeyReused(Refusal):
    """Another request came under this idempotency key before."""

    code = "IDEMPOTENCY_KEY_REUSED"
    sentence = "This Idempotency-Key was used for another request: use a new one for each request."


class RememberedRefusal(Refusal):
    """A refusal under an idempotency key: every repetition gets the same."""

    def __init__(self, first: "Refused", at: datetime, request_id: str, *, repeated: bool) -> None:
        super().__init__(first.message, *first.details)
        self.code = first.code  # type: ignore[misc]  # the code of the first refusal
        self.at, self.request_id, self.repeated = at, request_id, repeated


class Refused(msgspec.Struct, frozen=True):
    """A refusal as it is stored."""

    code: str
    message: str
    details: tuple[Detail, ...]


class Decided(msgspec.Struct, frozen=True, kw_only=True):
    """What a request was answered, but for the position: that is known once it is appended."""

    at: datetime
    request_id: str
    id: UUID | None = None
    version: int = 0
    answer: Any = None
    refused: Refused | None = None

    def encoded(self) -> str:
        """Return the form that is stored under a key."""
        return msgspec.json.encode(self).decode()

    def receipt(self, position: int, *, repeated: bool = False) -> Receipt[Any]:
        """Return the receipt, or raise the refusal that was decided."""
        if self.refused is not None:
            raise RememberedRefusal(self.refused, self.at, self.request_id, repeated=repeated)
        assert self.id is not None  # noqa: S101 - what is not refused has a target
        return Receipt(
            id=self.id,
            version=self.version,
            position=position,
            answer=self.answer,
            at=self.at,
            request_id=self.request_id,
            repeated=repeated,
        )


def granted(request_id: str, target: UUID, version: int, answer: Any) -> Decided:
    """Return the decision that grants a request."""
    now = datetime.now(UTC)
    return Decided(at=now, request_id=request_id, id=target, version=version, answer=answer)


def refused(request_id: str, refusal: Refusal) -> Decided:
    """Return the decision that refuses a request."""
    stored = Refused(refusal.code, refusal.message, refusal.details)
    return Decided(at=datetime.now(UTC), request_id=request_id, refused=stored)


def receipt_of_first(
    first: Repeated, key: IdempotencyKey, handler: Callable[..., Any]
) -> Receipt[Any]:
    """Return what the first request under a key was given; `KeyReused` if it was another one."""
    if first.fingerprint not in {key.fingerprint, *key.former}:
        raise KeyReused
    decided = msgspec.json.decode(first.answer, type=Decided)
    if decided.answer is not None:
        answer = msgspec.convert(decided.answer, answer_type(handler))
        decided = msgspec.structs.replace(decided, answer=answer)
    return decided.receipt(first.position, repeated=True)


@lru_cache
def answer_type(handler: Callable[..., Any]) -> Any:
    """Return the type of what a command's handler answers."""
    return get_type_hints(handler)["return"]
