"""What the writers ask for: each request follows from the seed, the writer and its number alone.

So a writer that was killed and started again can ask for the same once more.
"""

import random
from datetime import UTC, datetime, timedelta
from uuid import UUID

import msgspec

from domain.order import OrderNoteAdded
from event_store.records import Append, Audit, Claim, IdempotencyKey, StreamChange
from tests.oracle.plan import Plan

CALLER = "oracle"
SCOPE = "oracle.value"
HOT_STREAMS = 8
IMPOSSIBLE = 1_000_000  # versions ahead of what any stream has
EVERY_COMMON = 40  # one request in so many is made by every writer, under one key

KINDS = ("one", "many", "several", "hot", "stale", "claim", "kept refusal")
WEIGHTS = (20, 50, 15, 5, 3, 5, 2)


class Request(msgspec.Struct, frozen=True):
    """Streams with the number of events for each; `repeats`: how often it is sent at once."""

    number: int
    parts: tuple[tuple[UUID, int], ...]
    key: str | None
    claim: str | None = None
    stale: bool = False
    repeats: int = 1

    @property
    def events(self) -> int:
        """Return the number of events."""
        return sum(count for _, count in self.parts)


def request_of(plan: Plan, writer: int, number: int) -> Request:
    """Return what a writer asks for under a number."""
    chance = random.Random(f"{plan.seed}/{writer}/{number}")  # noqa: S311 - a test's variety
    if number % EVERY_COMMON == 1:
        return Request(number, ((own(writer, 0), 3),), f"common/{number}")
    [kind] = chance.choices(KINDS, WEIGHTS)
    key = f"{writer}/{number}" if kind == "kept refusal" or chance.random() < 0.7 else None
    repeats = 2 if key and chance.random() < 0.04 else 1
    mine = own(writer, chance.randrange(plan.streams))
    if kind == "several":
        streams = {own(writer, chance.randrange(plan.streams)) for _ in range(4)}
        if chance.random() < 0.3:
            streams.add(hot(chance))
        parts = tuple((stream, chance.randint(1, 6)) for stream in sorted(streams))
        return Request(number, parts, key, None, False, repeats)
    if kind == "claim":
        value = str(number // 100 * 100 + chance.randrange(12))  # some are taken by then
        return Request(number, ((fresh(writer, number), 2),), key, value, False, repeats)
    count = {"many": chance.randint(2, 40), "kept refusal": 0}.get(kind, 1)
    stream = hot(chance) if kind == "hot" else mine
    return Request(number, ((stream, count),), key, None, kind == "stale", repeats)


def own(writer: int, number: int) -> UUID:
    """Return a stream that one writer alone appends to."""
    return UUID(int=(writer + 2) << 96 | number)


def fresh(writer: int, number: int) -> UUID:
    """Return a stream that one request alone appends to."""
    return UUID(int=(writer + 2) << 96 | 1 << 64 | number)


def hot(chance: random.Random) -> UUID:
    """Return a stream that all writers append to."""
    return UUID(int=1 << 96 | chance.randrange(HOT_STREAMS))


def command_id(writer: int, number: int, attempt: int) -> UUID:
    """Return the id of an attempt at a request."""
    return UUID(int=(writer + 1) << 96 | number << 32 | attempt)


def command_of(request: Request, asked: UUID, versions: dict[UUID, int]) -> Append:
    """Make the command of an attempt, decided on what is believed of the streams.

    Each event says its place in the command, its stream and version: the log must agree.
    """
    ahead = IMPOSSIBLE if request.stale else 0
    place = 0
    changes = []
    for stream, count in request.parts:
        version = versions.get(stream, 0) + ahead
        texts = [f"{place + n}/{stream}/{version + n}" for n in range(1, count + 1)]
        changes.append(StreamChange(stream, "order", version, tuple(map(OrderNoteAdded, texts))))
        place += count
    claims = (Claim(SCOPE, request.claim, request.parts[0][0]),) if request.claim else ()
    audit = Audit(
        actor_id="oracle",
        actor_role="staff",
        request_id=str(request.number),
        correlation_id=str(request.number),
        command="AddOrderNote",
    )
    return Append(asked, audit, tuple(changes), claims, key_of(request), str(asked))


def key_of(request: Request) -> IdempotencyKey | None:
    """Return the idempotency key of a request that has one."""
    if request.key is None:
        return None
    expires_at = datetime.now(UTC) + timedelta(days=1)
    return IdempotencyKey(CALLER, request.key, f"print of {request.key}", expires_at)
