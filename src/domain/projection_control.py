"""A projection's control: what operators have asked of a view, and what came of each request."""

from typing import Literal, assert_never
from uuid import UUID, uuid5

import msgspec

from domain.plain_text import checked_text
from domain.refusal import Invalid, InvalidState, NotFound

NAMESPACE = UUID("00000000-0000-8000-8000-70726f6a6563")  # version 8 (RFC 9562), ends in "projec"

Outcome = Literal["done", "refused", "failed", "cancelled"]

LONGEST_REASON = 400
LEAST_THROTTLE, WHOLE = 5, 100
END_OF_POSITIONS = 2**63


def stream_of(projection: str) -> UUID:
    """Return the stream of a projection's control."""
    return uuid5(NAMESPACE, projection)


# What happened. These names and fields are kept for ever: change an event by giving it a version.


class HowToRebuild(msgspec.Struct, frozen=True, kw_only=True):
    """A dry run only compares; `hold`: swapped in only when that is asked for.

    `on_failure`: what is done about an event that cannot be applied. `throttle`: in which share of
    the time builders work, in percent.
    """

    dry_run: bool = False
    hold: bool = False
    on_failure: Literal["stop", "park"] = "stop"
    throttle: int = 100


class Asked(msgspec.Struct, frozen=True):
    """What every request has: an id of its own, the projection it is about, and why."""

    operation_id: UUID
    projection: str
    reason: str


class ProjectionPaused(Asked, frozen=True):
    """The view is to stand still."""


class ProjectionResumed(Asked, frozen=True):
    """The view is to follow the log again."""


class ProjectionRebuildRequested(Asked, frozen=True):
    """The view is to be made anew, or it is to be said what would change."""

    how: HowToRebuild


class ProjectionRebuildThrottled(Asked, frozen=True):
    """The rebuild under way is to work in this share of the time, in percent."""

    throttle: int


class ProjectionSwapRequested(Asked, frozen=True):
    """The rebuild that is held is to be swapped in."""


class ProjectionRebuildCancelled(Asked, frozen=True):
    """The rebuild under way is to be given up."""


class ProjectionRollbackRequested(Asked, frozen=True):
    """The tables from before the last swap are to be read again."""


class ProjectionPruneRequested(Asked, frozen=True):
    """The tables that were kept for a rollback are to be dropped."""


class ParkedFailureRetryRequested(Asked, frozen=True):
    """What is parked behind the event at a position is to be tried again; None: all there is."""

    position: int | None


class ParkedFailureSkipRequested(Asked, frozen=True):
    """The event at a position is to be left out of the view, and what waits behind it applied."""

    position: int


class ProjectionOperationEnded(msgspec.Struct, frozen=True):
    """A request was carried out, or could not be; `detail` says what came of it, for people."""

    operation_id: UUID
    projection: str
    outcome: Outcome
    detail: str


Request = (
    ProjectionPaused
    | ProjectionResumed
    | ProjectionRebuildRequested
    | ProjectionRebuildThrottled
    | ProjectionSwapRequested
    | ProjectionRebuildCancelled
    | ProjectionRollbackRequested
    | ProjectionPruneRequested
    | ParkedFailureRetryRequested
    | ParkedFailureSkipRequested
)
Event = Request | ProjectionOperationEnded


# What it is now.


class ProjectionControl(msgspec.Struct, frozen=True):
    """What is asked of the view now; `waiting` are the requests that have not ended, in order."""

    paused: bool = False
    waiting: tuple[UUID, ...] = ()
    rebuild: UUID | None = None


def evolve(control: ProjectionControl | None, event: Event) -> ProjectionControl:
    """Fold one more event into the control."""
    control = control or ProjectionControl()
    change = msgspec.structs.replace
    if isinstance(event, ProjectionOperationEnded):
        ended = event.operation_id
        return change(
            control,
            waiting=tuple(one for one in control.waiting if one != ended),
            rebuild=None if control.rebuild == ended else control.rebuild,
        )
    control = change(control, waiting=(*control.waiting, event.operation_id))
    match event:
        case ProjectionPaused():
            return change(control, paused=True)
        case ProjectionResumed():
            return change(control, paused=False)
        case ProjectionRebuildRequested():
            return change(control, rebuild=event.operation_id)
        case (
            ProjectionRebuildThrottled()
            | ProjectionSwapRequested()
            | ProjectionRebuildCancelled()
            | ProjectionRollbackRequested()
            | ProjectionPruneRequested()
            | ParkedFailureRetryRequested()
            | ParkedFailureSkipRequested()
        ):
            return control
        case _:
            assert_never(event)


# What may happen next.


class AlreadyPaused(InvalidState):
    """The projection stands still already."""

    sentence = "This projection is paused already."


class NotPaused(InvalidState):
    """The projection follows the log."""

    sentence = "This projection is not paused."


class RebuildUnderWay(InvalidState):
    """A rebuild has been asked for and has not ended."""

    sentence = "This projection is being rebuilt: wait for it, or cancel it first."


def checked_reason(reason: str) -> str:
    """Return why something is asked, fit to be kept."""
    return checked_text("reason", reason, longest=LONGEST_REASON)


def pause(control: ProjectionControl, asked: Asked) -> list[Event]:
    """Let the view stand still."""
    known = parts(asked)
    if control.paused:
        raise AlreadyPaused
    return [ProjectionPaused(*known)]


def resume(control: ProjectionControl, asked: Asked) -> list[Event]:
    """Let the view follow the log again."""
    known = parts(asked)
    if not control.paused:
        raise NotPaused
    return [ProjectionResumed(*known)]


def rebuild(control: ProjectionControl, asked: Asked, how: HowToRebuild) -> list[Event]:
    """Make the view anew; one rebuild at a time."""
    known = parts(asked)
    checked_throttle(how.throttle)
    check_not_rebuilding(control)
    return [ProjectionRebuildRequested(*known, how)]


# A new release may begin a rebuild by itself, so whether there is one is not known here: what is
# asked of it is accepted, and ends as refused where there is none.


def throttle(asked: Asked, share: int) -> list[Event]:
    """Let the rebuild under way work in this share of the time."""
    return [ProjectionRebuildThrottled(*parts(asked), checked_throttle(share))]


def swap(asked: Asked) -> list[Event]:
    """Swap the rebuild in that is held."""
    return [ProjectionSwapRequested(*parts(asked))]


def cancel(asked: Asked) -> list[Event]:
    """Give the rebuild under way up."""
    return [ProjectionRebuildCancelled(*parts(asked))]


def roll_back(control: ProjectionControl, asked: Asked) -> list[Event]:
    """Read the tables from before the last swap again."""
    known = parts(asked)
    check_not_rebuilding(control)
    return [ProjectionRollbackRequested(*known)]


def prune(control: ProjectionControl, asked: Asked) -> list[Event]:
    """Drop the tables that were kept for a rollback."""
    known = parts(asked)
    check_not_rebuilding(control)
    return [ProjectionPruneRequested(*known)]


def retry_failures(asked: Asked, position: int | None) -> list[Event]:
    """Try what is parked behind an event again; None: all that is parked."""
    known = None if position is None else checked_position(position)
    return [ParkedFailureRetryRequested(*parts(asked), known)]


def skip_failure(asked: Asked, position: int) -> list[Event]:
    """Leave the event that failed out of the view."""
    return [ParkedFailureSkipRequested(*parts(asked), checked_position(position))]


def end(
    control: ProjectionControl, projection: str, operation_id: UUID, outcome: Outcome, detail: str
) -> list[Event]:
    """Say what came of a request; nothing if that is known already."""
    if operation_id not in control.waiting:
        return []
    return [ProjectionOperationEnded(operation_id, projection, outcome, detail)]


def parts(asked: Asked) -> tuple[UUID, str, str]:
    """Return what every request has, with its reason fit to be kept."""
    return asked.operation_id, asked.projection, checked_reason(asked.reason)


def checked_throttle(share: int) -> int:
    """Return a share of the time, in percent, that leaves something for both sides."""
    if not LEAST_THROTTLE <= share <= WHOLE:
        raise Invalid.field("throttle", f"A share is from {LEAST_THROTTLE} to {WHOLE} percent.")
    return share


def checked_position(position: int) -> int:
    """Return a position that a log may have."""
    if not 0 < position < END_OF_POSITIONS:
        raise NotFound
    return position


def check_not_rebuilding(control: ProjectionControl) -> None:
    """Refuse while a rebuild is under way."""
    if control.rebuild is not None:
        raise RebuildUnderWay
