"""A copy of the process shows what an act would do to it, and touches nothing of the original."""

import os
import signal
import time
from collections.abc import Callable

import pytest

from event_store.connections import connect
from projections.posting import rehearsal
from projections.posting.rehearsal import death_of


def fails() -> None:
    """Raise, which kills nobody."""
    raise ValueError


@pytest.mark.parametrize(
    ("act", "expected"),
    [
        (lambda: None, None),
        (fails, None),
        (lambda: os._exit(9), "exit code 9"),
        (lambda: os.kill(os.getpid(), signal.SIGSEGV), "SIGSEGV"),
        (lambda: os.kill(os.getpid(), signal.SIGKILL), "SIGKILL"),
    ],
    ids=["nothing", "raises", "exits", "segfault", "out of memory"],
)
def test_how_a_copy_ended(act: Callable[[], object], expected: str | None) -> None:
    assert death_of(act) == expected


def test_a_copy_that_does_not_end_has_shown_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rehearsal, "LONGEST_SECONDS", 1)
    began = time.monotonic()
    assert death_of(lambda: time.sleep(30)) is None
    assert time.monotonic() - began < 5


def test_a_copy_cannot_write_to_what_its_original_has_open(database_url: str) -> None:
    with connect(database_url, name="test") as connection:
        line = connection.fileno()
        assert death_of(lambda: os.fstat(line)) is None
        assert death_of(lambda: is_open(line) and os._exit(3)) is None
        assert death_of(lambda: is_open(line) or os._exit(4)) == "exit code 4"
        assert connection.execute("select 1").fetchone() == (1,)


def is_open(number: int) -> bool:
    """Tell whether there is such a file."""
    try:
        os.fstat(number)
    except OSError:
        return False
    return True
