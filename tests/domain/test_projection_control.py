"""What operators may ask of a projection, and what the control remembers of it."""

from collections.abc import Callable
from uuid import UUID

import pytest

from domain import projection_control as domain
from domain.projection_control import (
    AlreadyPaused,
    Asked,
    Event,
    HowToRebuild,
    NotPaused,
    ProjectionControl,
    ProjectionOperationEnded,
    ProjectionPaused,
    ProjectionRebuildRequested,
    ProjectionResumed,
    RebuildUnderWay,
    evolve,
    stream_of,
)
from domain.refusal import Invalid, InvalidState, NotFound
from tests.domain.given import state_of

FIRST, SECOND = UUID(int=1), UUID(int=2)
NOTHING = ProjectionControl()
PARKING = HowToRebuild(hold=True, on_failure="park", throttle=50)
REBUILDING = evolve(None, ProjectionRebuildRequested(FIRST, "orders", "new column", PARKING))


def asking(reason: str = "the disk is full") -> Asked:
    return Asked(SECOND, "orders", reason)


def test_each_projection_has_its_own_stream_for_ever() -> None:
    assert stream_of("orders") == UUID("b30f1c87-d34c-5715-bbec-0579d10fa092")
    assert stream_of("orders") != stream_of("users")


def test_a_projection_is_paused_once_and_resumed_once() -> None:
    assert domain.pause(NOTHING, asking()) == [
        ProjectionPaused(SECOND, "orders", "the disk is full")
    ]
    paused = state_of(evolve, [ProjectionPaused(FIRST, "orders", "disk")])
    with pytest.raises(AlreadyPaused):
        domain.pause(paused, asking())
    assert domain.resume(paused, asking("done")) == [ProjectionResumed(SECOND, "orders", "done")]
    with pytest.raises(NotPaused):
        domain.resume(NOTHING, asking())


@pytest.mark.parametrize("reason", ["", "  ", "x" * 401, "a\x00b"])
def test_a_reason_that_says_nothing_is_refused(reason: str) -> None:
    with pytest.raises(Invalid):
        domain.pause(NOTHING, asking(reason))


def test_one_rebuild_at_a_time() -> None:
    (asked,) = domain.rebuild(NOTHING, asking(), PARKING)
    assert asked == ProjectionRebuildRequested(SECOND, "orders", "the disk is full", PARKING)
    with pytest.raises(RebuildUnderWay):
        domain.rebuild(REBUILDING, asking(), PARKING)


@pytest.mark.parametrize("share", [0, 4, 101, -50])
def test_a_rebuild_works_in_a_share_of_the_time(share: int) -> None:
    with pytest.raises(Invalid):
        domain.throttle(asking(), share)
    with pytest.raises(Invalid):
        domain.rebuild(NOTHING, asking(), HowToRebuild(throttle=share))


@pytest.mark.parametrize("position", [0, -1, 2**63])
def test_a_position_that_no_log_has_is_not_found(position: int) -> None:
    with pytest.raises(NotFound):
        domain.skip_failure(asking(), position)
    with pytest.raises(NotFound):
        domain.retry_failures(asking(), position)


@pytest.mark.parametrize("decide", [domain.roll_back, domain.prune])
def test_nothing_is_swapped_or_dropped_while_a_rebuild_runs(
    decide: Callable[[ProjectionControl, Asked], list[Event]],
) -> None:
    assert len(decide(NOTHING, asking())) == 1
    with pytest.raises(InvalidState):
        decide(REBUILDING, asking())


def test_what_is_asked_waits_until_it_has_ended_and_ends_once() -> None:
    control = evolve(REBUILDING, ProjectionPaused(SECOND, "orders", "disk"))
    assert control.waiting == (FIRST, SECOND)
    (ended,) = domain.end(control, "orders", FIRST, "done", "Swapped.")
    assert ended == ProjectionOperationEnded(FIRST, "orders", "done", "Swapped.")
    after = evolve(control, ended)
    assert after == ProjectionControl(paused=True, waiting=(SECOND,), rebuild=None)
    assert domain.end(after, "orders", FIRST, "failed", "again") == []
