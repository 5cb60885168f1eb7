"""A short run of the oracle on our log, and runs that show that it can fail."""

import pytest

from tests.oracle.plan import Plan
from tests.oracle.report import Report
from tests.oracle.seen import Seen, without
from tests.oracle.trial import run

pytestmark = pytest.mark.timeout(300)

EVERYTHING_SEEN = "sees every event once"
TRIES = 4


def test_nothing_is_lost_doubled_or_skipped_while_writers_and_postgres_are_killed() -> None:
    report = run(Plan(events=20_000, clients=16, seconds=60, pause=0.3, seed=7))
    told = "\n".join(report.lines())
    assert report.kept, told
    assert report.found.stored == report.found.seen > 2_000, told
    assert report.found.words["appended"][0] > 200, told
    assert report.faults["kill_postmaster"] >= 1, told
    assert report.faults["kill_writer"] >= 1, told


def test_the_loss_of_the_packages_fast_mode_is_found() -> None:
    """It takes no lock: ids are handed out in one order and committed in another."""
    report = losing(Plan(events=40_000, clients=8, readers=2, seconds=4, recorder="unsafe"))
    assert report.found.missed > 0
    assert any(EVERYTHING_SEEN in promise for promise in report.found.broken)


def test_the_loss_of_an_append_without_the_lock_is_found() -> None:
    report = losing(Plan(events=40_000, clients=8, readers=2, seconds=4, recorder="unlocked"))
    assert report.found.missed > 0
    assert any(EVERYTHING_SEEN in promise for promise in report.found.broken)


def losing(plan: Plan) -> Report:
    """Run a plan until something is missed; a loss is a matter of moments, so there are tries."""
    for _ in range(TRIES):
        report = run(plan)
        if report.found.missed:
            break
    return report


@pytest.mark.parametrize(
    ("stored", "seen", "missed"),
    [
        ([[1, 9]], [[1, 9]], []),
        ([[1, 9]], [], [[1, 9]]),
        ([], [[1, 9]], []),
        ([[1, 9]], [[2, 3], [5, 8]], [[1, 1], [4, 4], [9, 9]]),
        ([[1, 2], [5, 6], [8, 9]], [[2, 5], [9, 12]], [[1, 1], [6, 6], [8, 8]]),
        ([[4, 5], [7, 8]], [[1, 20]], []),
        ([[4, 5], [7, 8]], [[1, 2], [6, 6], [10, 20]], [[4, 5], [7, 8]]),
    ],
)
def test_missed_positions_are_those_stored_and_not_seen(
    stored: list[list[int]], seen: list[list[int]], missed: list[list[int]]
) -> None:
    assert without(stored, seen) == missed


def test_an_event_that_comes_twice_or_too_late_is_a_complaint() -> None:
    seen = Seen()
    for position in (1, 2, 2, 5, 4):
        seen.add(position)
    assert seen.runs == [[1, 2], [5, 5]]
    assert seen.twice == 2
    assert seen.complaints == ["position 2 came after 2", "position 4 came after 5"]
