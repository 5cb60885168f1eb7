"""One attempt at a command: who asks, what it has read, and what it will append."""

import asyncio
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, TypeAlias, TypeVar
from uuid import UUID

import msgspec

from commands.aggregates import USER, Aggregate, Happened, State
from commands.identifiers import new_id
from commands.passwords import Passwords
from commands.receipts import Decided, Receipt, receipt_of_first
from commands.sessions.door import Door
from commands.states import Known, States
from domain.personal import is_personal
from domain.refusal import Detail, NotFound, Refusal
from event_store.records import (
    Append,
    Appended,
    Audit,
    Claim,
    IdempotencyKey,
    Repeated,
    StreamChange,
    VersionConflict,
)
from event_store.store import EventStore

EMAIL, SKU = "user.email", "product.sku"
PERSONAL_SCOPES = frozenset({EMAIL})

Request = TypeVar("Request", bound=msgspec.Struct)
# A version that something must have; *: any, if only it is there (RFC 9110, 13.1.1).
IfMatch: TypeAlias = int | Literal["*"] | None


class Asker(msgspec.Struct, frozen=True, kw_only=True):
    """Who asks, in which request. `if_match`: the version that the target must have.

    What is to be created has none, so it never holds there. `causation_id`: the position of the
    event that the asker reacts to. `key`: what makes a repetition of the request known.
    """

    actor_id: str
    role: str
    request_id: str
    correlation_id: str
    user_id: UUID | None = None
    session_id: UUID | None = None
    if_match: IfMatch = None
    occurred_at: datetime | None = None
    causation_id: int | None = None
    key: IdempotencyKey | None = None

    @property
    def is_staff(self) -> bool:
        """Tell whether the asker works here: staff, an administrator, or the system itself."""
        return self.role in {"staff", "admin", "system"}


class PreconditionFailed(Refusal):
    """The resource is no longer at the version that If-Match names."""

    code = "PRECONDITION_FAILED"
    sentence = "The resource has changed: read it again."


@dataclass(frozen=True)
class Tools:
    """What the commands of a process work with; an open `door` neither limits nor records.

    `projections` are those that operators may name.
    """

    store: EventStore
    passwords: Passwords
    door: Door = field(default_factory=Door)
    projections: Collection[str] = ()
    states: States = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "states", States(self.store))


class Work:
    """One attempt at a command: what it has read, and what it will append."""

    def __init__(self, tools: Tools, asker: Asker, now: datetime, *, proven: bool = False) -> None:
        """`now` is the time of the command in UTC; `proven`: read what the log holds now."""
        self.tools, self.asker, self.now = tools, asker, now
        self.target_id: UUID | None = None
        self.refusal: Refusal | None = None
        self._proven = proven
        self._kinds: dict[UUID, Aggregate[Any, Any]] = {}
        self._read: dict[UUID, Known] = {}
        self._events: dict[UUID, list[Any]] = {}
        self._claims: list[Claim] = []

    @property
    def unproven(self) -> bool:
        """Tell whether something was read that the log has not confirmed."""
        return not all(known.proven for known in self._read.values())

    async def find(
        self, kind: Aggregate[State, Happened], stream_id: UUID, *, proven: bool = False
    ) -> State | None:
        """Return the state of a stream, None if it does not exist; `proven`: as the log has it."""
        return (await self.find_many(kind, [stream_id], proven=proven))[stream_id]

    async def find_many(
        self,
        kind: Aggregate[State, Happened],
        stream_ids: Sequence[UUID],
        *,
        proven: bool = False,
    ) -> dict[UUID, State | None]:
        """Return the states of several streams. From now on a change by others is a conflict."""
        proven = proven or self._proven
        found = await self.tools.states.read(kind, stream_ids, proven=proven)
        for stream_id, known in found.items():
            # What was decided on the first look holds only if the stream is still at that version.
            self._read.setdefault(stream_id, known)
            self._kinds[stream_id] = kind
        return {stream_id: known.state for stream_id, known in found.items()}

    async def target(
        self, kind: Aggregate[State, Happened], stream_id: UUID, *, proven: bool = False
    ) -> State:
        """Return the state of what the command is about; `NotFound`, `PreconditionFailed`."""
        state = await self.find(kind, stream_id, proven=proven)
        if state is None:
            raise NotFound
        self.aim_at(stream_id)
        return state

    async def target_or_new(
        self, kind: Aggregate[State, Happened], stream_id: UUID
    ) -> State | None:
        """Return the state of what the command is about, None if that begins with this command."""
        state = await self.find(kind, stream_id)
        self.aim_at(stream_id)
        return state

    def aim_at(self, stream_id: UUID) -> None:
        """Make a stream that was read what the command is about; `PreconditionFailed` tells of it.

        So whoever may not know that it is there must be turned away before.
        """
        self.target_id = stream_id
        version = self._read[stream_id].version
        if self.asker.if_match not in {None, "*", version}:
            detail = Detail("currentVersion", f"The resource is at version {version}.", version)
            raise PreconditionFailed(None, detail)

    def create(
        self, kind: Aggregate[State, Happened], stream_id: UUID, events: Sequence[Happened]
    ) -> None:
        """Begin the stream that the command is about; `PreconditionFailed`: it had to be there."""
        if self.asker.if_match is not None:
            raise PreconditionFailed
        self.target_id = stream_id
        self._read[stream_id] = Known(None, 0, None, proven=True)
        self._kinds[stream_id] = kind
        self.add(stream_id, events)

    def add(self, stream_id: UUID, events: Sequence[Any]) -> None:
        """Append events to a stream that was read or created before."""
        self._events.setdefault(stream_id, []).extend(events)

    def claim(self, scope: str, value: str, stream_id: UUID) -> None:
        """Reserve a unique value for a stream."""
        self._claims.append(Claim(scope, value, stream_id, personal=scope in PERSONAL_SCOPES))

    def give_back(self, scope: str, value: str, stream_id: UUID) -> None:
        """Let others have a unique value."""
        personal = scope in PERSONAL_SCOPES
        self._claims.append(Claim(scope, value, stream_id, kept=False, personal=personal))

    def version(self, stream_id: UUID) -> int:
        """Return the version that a stream has once this work is appended."""
        return self._read[stream_id].version + len(self._events.get(stream_id, ()))

    async def is_repetition(self) -> bool:
        """Tell whether this very request has had its answer under its key."""
        key = self.asker.key
        if key is None:
            return False
        known = await self.tools.store.fingerprint(key.caller, key.key)
        return known in {key.fingerprint, *key.former}

    async def read_subjects(self) -> None:
        """Read the accounts of all whom the personal fields of events are about.

        So somebody who is forgotten meanwhile is a conflict, and nothing is written of them.
        """
        for stream_id in list(self._events):
            subject = self._subject_of(stream_id)
            if subject is not None and subject not in self._read:
                await self.find(USER, subject)

    def _subject_of(self, stream_id: UUID) -> UUID | None:
        kind, events = self._kinds[stream_id], self._events.get(stream_id, ())
        if kind.subject_of is None or not any(map(is_personal, events)):
            return None
        state = self._read[stream_id].state
        return kind.subject_of(stream_id, state or kind.fold(events))

    @property
    def idle(self) -> bool:
        """Tell whether nothing has happened, so that nothing is to be appended."""
        return not any(self._events.values())

    @property
    def changes(self) -> tuple[StreamChange, ...]:
        """Return what is to be appended and checked; nothing if nothing has happened."""
        if self.idle:
            return ()
        return tuple(
            StreamChange(
                stream_id,
                self._kinds[stream_id].stream_type,
                known.version,
                tuple(self._events.get(stream_id, ())),
                known.tip,
                self._subject_of(stream_id),
            )
            for stream_id, known in self._read.items()
        )

    def drop(self) -> None:
        """Let nothing of this work be appended."""
        self._events.clear()
        self._claims.clear()

    async def leave(
        self, decided: Decided, handler: Callable[..., Any], request: msgspec.Struct
    ) -> Receipt[Any]:
        """Append what was decided, with the answer under the key if there is one.

        Raises the refusal that was decided, `VersionConflict`, `ClaimTaken`, `StoreUnavailable`.
        """
        key, changes = self.asker.key, self.changes
        if not changes and key is None:
            return decided.receipt(await self.tools.store.head())
        answer = await self._append(
            Append(
                new_id(),
                audit_of(self.asker, type(request).__name__),
                changes,
                tuple(self._claims),
                key,
                decided.encoded() if key else None,
            )
        )
        if isinstance(answer, Repeated) and key is not None:
            return receipt_of_first(answer, key, handler)
        if self.refusal is not None:
            raise self.refusal
        return decided.receipt(answer.position)

    async def _append(self, effect: Append) -> Appended | Repeated:
        """Append the work; until the log has answered, others here count on its success."""
        outcome: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        written = [change.stream_id for change in effect.changes if change.events]
        for stream_id in written:
            self._foresee(stream_id, effect.command_id, outcome)
        answer: Appended | Repeated | None = None
        try:
            answer = await self.tools.store.append(effect)
        except VersionConflict as conflict:
            self.tools.states.forget([conflict.stream_id])
            raise
        finally:
            if not isinstance(answer, Appended):
                self.tools.states.forget(written)
            outcome.set_result(None)
        return answer

    def _foresee(self, stream_id: UUID, command_id: UUID, outcome: "asyncio.Future[None]") -> None:
        kind, state = self._kinds[stream_id], self._read[stream_id].state
        for event in self._events[stream_id]:
            state = kind.evolve(state, event)
        known = Known(state, self.version(stream_id), command_id, outcome)
        self.tools.states.foresee(stream_id, known)


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
