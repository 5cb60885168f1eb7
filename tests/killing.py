"""Killing a process between any two lines: a fork of this process does something, and dies there.

It dies of SIGKILL, so nothing of it is cleaned up: what it has written stays half-written.
"""

import os
import signal
import sys
import warnings
from collections.abc import Callable, Iterable
from types import FrameType, ModuleType
from typing import Any, NamedTuple

Act = Callable[[], object]


class Line(NamedTuple):
    """A line of a program."""

    file: str
    number: int


def lines_of(act: Act, modules: Iterable[ModuleType]) -> list[Line]:
    """Do something in a process of its own; return the lines of some modules that it passes.

    Each is there once, in the order in which they are passed first.
    """
    seen: dict[Line, None] = {}
    read, write = os.pipe()

    def tell() -> None:
        watched(act, modules, seen.setdefault)
        with os.fdopen(write, "w") as pipe:
            pipe.writelines(f"{line.number} {line.file}\n" for line in seen)

    child = fork(tell)
    os.close(write)
    with os.fdopen(read) as pipe:
        told = [text.rstrip("\n").split(" ", 1) for text in pipe]
    assert ended(child) == 0
    return [Line(file, int(number)) for number, file in told]


def killed_at(line: Line, act: Act, modules: Iterable[ModuleType]) -> bool:
    """Do something in a process that is killed before a line; False: it never came there."""

    def die(at: Line) -> None:
        if at == line:
            os.kill(os.getpid(), signal.SIGKILL)

    code = ended(fork(lambda: watched(act, modules, die)))
    assert code in {0, -signal.SIGKILL}, f"It failed by itself before {line}."
    return code != 0


def watched(act: Act, modules: Iterable[ModuleType], see: Callable[[Line], object]) -> None:
    """Do something, and see each line of some modules before it is executed."""
    files = {str(module.__file__) for module in modules}

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        if frame.f_code.co_filename not in files:
            return None
        if event == "line":
            see(Line(frame.f_code.co_filename, frame.f_lineno))
        return trace

    sys.settrace(trace)
    try:
        act()
    finally:
        sys.settrace(None)


def fork(act: Act) -> int:
    """Do something in a copy of this process, which ends with it; return its id."""
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", DeprecationWarning
        )  # threads of the tests: they are not used
        child = os.fork()
    if child:
        return child
    try:
        act()
        os._exit(0)
    except BaseException:  # noqa: BLE001 - the copy must never go on as the tests do
        sys.excepthook(*sys.exc_info())
        os._exit(1)


def ended(child: int) -> int:
    """Wait for a process and return its exit code, negative for a signal."""
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


def killed_at_each_line(act: Act, modules: Iterable[ModuleType], *, before: Act, after: Act) -> int:
    """Kill something at each line that it passes, `before` each making something to do for it.

    `after` each the survivors go on and look. Returns how often it was killed.
    """
    known = list(modules)
    before()
    lines = lines_of(act, known)
    after()
    kills = 0
    for line in lines:
        before()
        kills += killed_at(line, act, known)
        after()
    return kills
