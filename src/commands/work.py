"""Load, decide, append: the three moves of every command, and the one function that makes them."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar
from uuid import UUID

import msgspec

from commands.aggregates import Aggregate, Happened, State
from commands.identifiers import new_id
from commands.passwords import Passwords
from domain.product import SkuTaken
from domain.refusal import Detail, NotFound, Refusal
from domain.user import EmailTaken
from event_store.records import Append, Audit, Claim, ClaimTaken, StreamChange, VersionConflict
from event_store.store import EventStore

ATTEMPTS = 12
EMAIL, SKU = "user.email", "product.sku"
TAKEN: dict[str, type[Refusal]] = {EMAIL: EmailTaken, SKU: SkuTaken}

Answer = TypeVar("Answer")
Request = TypeVar("Request", bound=msgspec.Struct)


class Asker(msgspec.Struct, frozen=True, kw_only=True):
    """Who asks, in which request. `if_match`: the version that the target must have.

    `causation_id`: the position of the event that the asker reacts to.
    """

    actor_id: str
    role: str
    request_id: str
    correlation_id: str
    user_id: UUID | None = None
    session_id: UUID | None = None
    if_match: int | None = None
    occurred_at: datetime | None = None
    causation_id: int | None = None

    @property
    def is_staff(self) -> bool:
        """Tell whether the asker works here: staff, an administrator, or the system itself."""
        return self.role in {"staff", "admin", "system"}


class Receipt(msgspec.Struct, Generic[Answer], frozen=True):
    """What a command leaves with its asker; `position` is where a view must be to show it."""

    id: UUID
    version: int
    position: int
    answer: Answer


class PreconditionFailed(Refusal):
    """The resource is no longer at the version that If-Match names."""

    code = "PRECONDITION_FAILED"
    sentence = "The resource has changed: read it again."


class TooMuchContention(Refusal):
    """Others changed the same streams each time this command was decided."""

    code = "VERSION_CONFLICT"
    sentence = "Others change the same resource right now: try again."


class Tools(msgspec.Struct, frozen=True):
    """What commands work with."""

    store: EventStore
    passwords: Passwords


class Work:
    """One attempt at a command: what it has read, and what it will append."""

    def __init__(self, tools: Tools, asker: Asker, now: datetime) -> None:
        """`now` is the time of the command in UTC."""
        self.tools, self.asker, self.now = tools, asker, now
        self.target_id: UUID | None = None
        self.refusal: Refusal | None = None
        self._versions: dict[UUID, tuple[str, int]] = {}
        self._events: dict[UUID, list[Any]] = {}
        self._claims: list[Claim] = []

    async def find(self, kind: Aggregate[State, Happened], stream_id: UUID) -> State | None:
        """Return the state of a stream, None if it does not exist."""
        return (await self.find_many(kind, [stream_id]))[stream_id]

    async def find_many(
        self, kind: Aggregate[State, Happened], stream_ids: Sequence[UUID]
    ) -> dict[UUID, State | None]:
        """Return the states of several streams. From now on a change by others is a conflict."""
        if len(stream_ids) == 1:
            streams = {stream_ids[0]: await self.tools.store.load(stream_ids[0])}
        else:
            streams = await self.tools.store.load_many(stream_ids)
        for stream_id, events in streams.items():
            # What was decided on the first look holds only if the stream is still at that version.
            self._versions.setdefault(stream_id, (kind.stream_type, len(events)))
        return {stream_id: kind.fold(events) for stream_id, events in streams.items()}  # type: ignore[arg-type]  # a stream holds its aggregate's events only

    async def target(self, kind: Aggregate[State, Happened], stream_id: UUID) -> State:
        """Return the state of what the command is about; `NotFound`, `PreconditionFailed`."""
        state = await self.find(kind, stream_id)
        if state is None:
            raise NotFound
        self.target_id = stream_id
        self._check_precondition(stream_id)
        return state

    def create(
        self, kind: Aggregate[State, Happened], stream_id: UUID, events: Sequence[Happened]
    ) -> None:
        """Begin the stream that the command is about."""
        self.target_id = stream_id
        self._versions[stream_id] = (kind.stream_type, 0)
        self.add(stream_id, events)

    def add(self, stream_id: UUID, events: Sequence[Any]) -> None:
        """Append events to a stream that was read or created before."""
        self._events.setdefault(stream_id, []).extend(events)

    def claim(self, scope: str, value: str, stream_id: UUID) -> None:
        """Reserve a unique value for a stream."""
        self._claims.append(Claim(scope, value, stream_id))

    def give_back(self, scope: str, value: str, stream_id: UUID) -> None:
        """Let others have a unique value."""
        self._claims.append(Claim(scope, value, stream_id, kept=False))

    def version(self, stream_id: UUID) -> int:
        """Return the version that a stream has once this work is appended."""
        return self._versions[stream_id][1] + len(self._events.get(stream_id, ()))

    def effect(self, command_id: UUID, audit: Audit) -> Append | None:
        """Return what is to be appended, None if nothing has happened."""
        if not any(self._events.values()):
            return None
        changes = tuple(
            StreamChange(stream_id, stream_type, version, tuple(self._events.get(stream_id, ())))
            for stream_id, (stream_type, version) in self._versions.items()
        )
        return Append(command_id, audit, changes, tuple(self._claims))

    def _check_precondition(self, stream_id: UUID) -> None:
        version = self._versions[stream_id][1]
        if self.asker.if_match is not None and self.asker.if_match != version:
            detail = Detail("currentVersion", f"The resource is at version {version}.", version)
            raise PreconditionFailed(None, detail)


Handler = Callable[[Work, Request], Awaitable[Answer]]


async def execute(
    tools: Tools, asker: Asker, handler: Handler[Request, Answer], request: Request
) -> Receipt[Answer]:
    """Carry a command out: load, decide, append; decide again when others were faster.

    Raises the `Refusal` of the decision, and `StoreUnavailable` when the log gives no answer.
    """
    conflict: VersionConflict | None = None
    for attempt in range(ATTEMPTS):
        if attempt:
            await asyncio.sleep(random.uniform(0, 0.002 * attempt))  # noqa: S311 - jitter only
        try:
            return await _attempt(tools, asker, handler, request)
        except VersionConflict as error:
            conflict = error
    assert conflict is not None  # noqa: S101 - the loop ends here only by conflicts
    detail = Detail("currentVersion", str(conflict), conflict.found)
    raise TooMuchContention(None, detail) from conflict


async def create_once(
    tools: Tools, asker: Asker, handler: Handler[Request, Answer], request: Request
) -> Receipt[Answer] | None:
    """Carry out a command that begins a stream; None if that stream exists already."""
    try:
        return await _attempt(tools, asker, handler, request)
    except VersionConflict:
        return None


async def _attempt(
    tools: Tools, asker: Asker, handler: Handler[Request, Answer], request: Request
) -> Receipt[Answer]:
    work = Work(tools, asker, asker.occurred_at or datetime.now(UTC))
    answer = await handler(work, request)
    effect = work.effect(new_id(), audit_of(asker, type(request).__name__))
    try:
        appended = await tools.store.append(effect) if effect else None
    except ClaimTaken as taken:
        raise TAKEN[taken.scope] from taken
    position = appended.position if appended else await tools.store.head()
    if work.refusal is not None:
        raise work.refusal
    assert work.target_id is not None  # noqa: S101 - every handler has a target
    return Receipt(work.target_id, work.version(work.target_id), position, answer)


def audit_of(asker: Asker, command: str) -> Audit:
    """Return the audit columns of a command."""
    return Audit(
        actor_id=asker.actor_id,
        actor_role=asker.role,
        request_id=asker.request_id,
        correlation_id=asker.correlation_id,
        command=command,
        causation_id=asker.causation_id,
        occurred_at=asker.occurred_at,
    )
