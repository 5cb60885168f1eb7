"""A reaction's control: what operators have decided about failed effects, and what came of it."""

from typing import Literal, assert_never
from uuid import UUID, uuid5

import msgspec

from domain.plain_text import checked_text
from domain.refusal import NotFound

NAMESPACE = UUID("00000000-0000-8000-8000-726561637469")  # version 8 (RFC 9562), ends in "reacti"

Outcome = Literal["done", "refused"]

LONGEST_REASON = 400
END_OF_POSITIONS = 2**63


def stream_of(reaction: str) -> UUID:
    """Return the stream of a reaction's control."""
    return uuid5(NAMESPACE, reaction)


# What happened. These names and fields are kept for ever: change an event by giving it a version.


class ReactionRetryRequested(msgspec.Struct, frozen=True):
    """The effect of an event is to be tried once more, now; None: of all that failed."""

    reaction: str
    position: int | None
    reason: str


class ReactionSkipRequested(msgspec.Struct, frozen=True):
    """The event at a position is to have no effect."""

    reaction: str
    position: int
    reason: str


class ReactionOperationEnded(msgspec.Struct, frozen=True):
    """A request was carried out, or could not be; `request` is its position in the log."""

    reaction: str
    request: int
    outcome: Outcome
    detail: str


Request = ReactionRetryRequested | ReactionSkipRequested
Event = Request | ReactionOperationEnded


# What it is now.


class ReactionControl(msgspec.Struct, frozen=True):
    """How often something was decided, and the last request that has ended: they end in order."""

    decisions: int = 0
    ended: int = 0


def evolve(control: ReactionControl | None, event: Event) -> ReactionControl:
    """Fold one more event into the control."""
    control = control or ReactionControl()
    match event:
        case ReactionRetryRequested() | ReactionSkipRequested():
            return ReactionControl(control.decisions + 1, control.ended)
        case ReactionOperationEnded():
            return ReactionControl(control.decisions, event.request)
        case _:
            assert_never(event)


# What may happen next.


def retry(reaction: str, position: int | None, reason: str) -> list[Event]:
    """Try an effect once more; None: all that failed."""
    known = None if position is None else checked_position(position)
    return [ReactionRetryRequested(reaction, known, checked_reason(reason))]


def skip(reaction: str, position: int, reason: str) -> list[Event]:
    """Let an event have no effect."""
    return [ReactionSkipRequested(reaction, checked_position(position), checked_reason(reason))]


def end(
    control: ReactionControl, reaction: str, request: int, outcome: Outcome, detail: str
) -> list[Event]:
    """Say what came of a request; nothing if that is known already."""
    if request <= control.ended:
        return []
    return [ReactionOperationEnded(reaction, request, outcome, detail)]


def checked_reason(reason: str) -> str:
    """Return why something is decided, fit to be kept."""
    return checked_text("reason", reason, longest=LONGEST_REASON)


def checked_position(position: int) -> int:
    """Return a position that a log may have."""
    if not 0 < position < END_OF_POSITIONS:
        raise NotFound
    return position
