"""Trying something in a copy of this process first, whose death says for certain what it was of.

Only for what is suspected already: making a copy of a process with threads is quick, but the copy
may wait for ever for what another thread held. Then it is ended, and nothing has been shown.
"""

import gc
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

LONGEST_SECONDS = 20
MOST_FILES = 65_536
FIRST_TO_DIE = b"1000"


def death_of(act: Callable[[], object]) -> str | None:
    """Do something in a copy; return how it died of it, None if it did not or nobody knows.

    The copy has no open files of this process. What it raises is no death.
    """
    copy = os.fork()
    if copy == 0:
        try:
            rehearse(act)
        finally:
            os._exit(0)
    try:
        _, status = os.waitpid(copy, 0)
    except ChildProcessError:
        return None
    code = os.waitstatus_to_exitcode(status)
    if code in {0, -signal.SIGALRM}:
        return None
    return f"exit code {code}" if code > 0 else signal.Signals(-code).name


def rehearse(act: Callable[[], object]) -> None:
    """Do something as the copy that this process is, apart from its original in all things."""
    gc.disable()  # or what is cleaned up here would hang up the original's connections
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(LONGEST_SECONDS)
    os.closerange(3, MOST_FILES)
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_bytes(FIRST_TO_DIE)
    with suppress(Exception):
        act()
