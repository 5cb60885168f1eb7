"""Load, decide, append: the three moves of every command, and the function that makes them."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, Protocol, TypeVar

import msgspec

from commands.receipts import Answer, Receipt, granted, refused
from commands.work import EMAIL, SKU, Asker, Tools, Work
from domain.product import SkuTaken
from domain.refusal import Detail, Refusal
from domain.session import TooManyFailures
from domain.user import EmailTaken
from event_store.records import ClaimTaken, VersionConflict

Request = TypeVar("Request", bound=msgspec.Struct)

TAKEN: dict[str, type[Refusal]] = {EMAIL: EmailTaken, SKU: SkuTaken}
ATTEMPTS = 6


class TooMuchContention(Refusal):
    """Others changed the same streams each time this command was decided."""

    code = "VERSION_CONFLICT"
    sentence = "Others change the same resource right now: try again."


Handler = Callable[[Work, Request], Awaitable[Answer]]


class Execute(Protocol):
    """What carries out commands: `execute`, or something around it that sees each."""

    async def __call__(
        self, tools: Tools, asker: Asker, handler: Handler[Any, Answer], request: Any, /
    ) -> Receipt[Answer]:
        """Do as `execute` does."""


class Undecided(Exception):  # noqa: N818 - it is no error: the command is decided again
    """A refusal, or that nothing is to be done, was decided on a state that is not proven."""


async def execute(
    tools: Tools, asker: Asker, handler: Handler[Request, Answer], request: Request
) -> Receipt[Answer]:
    """Carry a command out: load, decide, append; decide again when others were faster.

    Raises the `Refusal` of the decision, and `StoreUnavailable` when the log gives no answer. With
    a key, the first answer or refusal is stored with the append and given to every repetition.
    """
    conflict: VersionConflict | None = None
    proven = False
    for attempt in range(ATTEMPTS):
        try:
            return await _attempt(tools, asker, handler, request, proven=proven)
        except Undecided:
            proven = True
        except VersionConflict as error:
            conflict = error
            if attempt + 1 < ATTEMPTS:
                await asyncio.sleep(random.uniform(0, 0.004 * (attempt + 1)))  # noqa: S311 - jitter only
    details = [Detail("currentVersion", str(conflict), conflict.found)] if conflict else []
    raise TooMuchContention(None, *details) from conflict


async def create_once(
    tools: Tools, asker: Asker, handler: Handler[Request, Answer], request: Request
) -> Receipt[Answer] | None:
    """Carry out a command that begins a stream; None if that stream exists already."""
    try:
        return await _attempt(tools, asker, handler, request, proven=True)
    except VersionConflict:
        return None


async def _attempt(
    tools: Tools,
    asker: Asker,
    handler: Handler[Request, Answer],
    request: Request,
    *,
    proven: bool,
) -> Receipt[Answer]:
    work = Work(tools, asker, asker.occurred_at or datetime.now(UTC), proven=proven)
    try:
        answer = await handler(work, request)
        await work.read_subjects()
    except Refusal as refusal:
        if work.unproven:
            raise Undecided from refusal
        if asker.key is None or isinstance(refusal, TooManyFailures):
            raise  # a lock passes: it is nobody's answer for the lifetime of a key
        work.drop()  # a handler may have added events before it came to what it refuses
        return await work.leave(refused(asker.request_id, refusal), handler, request)
    if work.idle and work.unproven:
        raise Undecided
    assert work.target_id is not None  # noqa: S101 - every handler has a target
    version = work.version(work.target_id)
    decided = granted(asker.request_id, work.target_id, version, answer)
    try:
        return await work.leave(decided, handler, request)
    except ClaimTaken as taken:
        found_taken = TAKEN[taken.scope]()
        if asker.key is None:
            raise found_taken from taken
    work.drop()
    return await work.leave(refused(asker.request_id, found_taken), handler, request)
