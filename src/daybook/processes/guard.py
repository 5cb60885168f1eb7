"""The guard: stops the processes that a killed Daybook would leave behind.

Started by its path (`python -I -S guard.py ...`) on the standard library alone, in two roles:

`watch` reads lines from its standard input, a pipe whose only writers are the supervisor and, for
a moment, the processes that it starts. `+ PID RANK STEPS` is a process group to stop, `- PID` one
that ended, `@ PATH` a file to remove first. At the end of input the writer is dead or done: the
groups are stopped, highest rank first.

`run FD RANK STEPS USER PROGRAM ARGUMENT...` announces itself on that pipe and becomes the program,
so that no process ever runs unannounced, however early its parent is killed.

STEPS are signals with the seconds that each is given: `INT:20,QUIT:5,KILL:5`.
"""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

_POLL_SECONDS = 0.02
_PROC = Path("/proc")


def group_alive(pgid: int) -> bool:
    """Whether the process group has a member that is more than a zombie."""
    try:
        os.killpg(pgid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    if not (_PROC / "self" / "stat").exists():
        return True
    return any(
        _group_and_state(entry) == (pgid, True) for entry in _PROC.iterdir() if entry.name.isdigit()
    )


def _group_and_state(entry: Path) -> tuple[int, bool]:
    """Read the process group and whether the process still runs (proc(5), after the name)."""
    try:
        state, _parent, group = (entry / "stat").read_text().rpartition(")")[2].split()[:3]
    except (OSError, ValueError):
        return 0, False
    return int(group), state not in "ZX"


def stop_group(
    pid: int,
    steps: Iterable[tuple[int, float]],
    alive: Callable[[], bool] | None = None,
    hurry: Callable[[], bool] = lambda: False,
) -> bool:
    """Signal a group's leader, harder at each step; True once nothing of the group is alive.

    `hurry` cuts the first step's time short.
    """
    is_alive = alive or (lambda: group_alive(pid))
    for number, (signum, seconds) in enumerate(steps):
        if not is_alive():
            return True
        _send(pid, signum)
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and not (number == 0 and hurry()):
            if not is_alive():
                return True
            if not _exists(pid):  # only orphans are left, whom nobody has told to end
                break
            time.sleep(_POLL_SECONDS)
    return not is_alive()


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def _send(pid: int, signum: int) -> None:
    try:
        if signum == signal.SIGKILL:
            os.killpg(pid, signum)
        else:
            os.kill(pid, signum)
    except ProcessLookupError:
        if signum != signal.SIGKILL:  # the leader is gone, its children are not
            _send(pid, signal.SIGKILL)
    except PermissionError:
        pass


def write_steps(steps: Iterable[tuple[int, float]]) -> str:
    """Write the steps as the guard's lines have them."""
    return ",".join(
        f"{signal.Signals(signum).name.removeprefix('SIG')}:{seconds:g}"
        for signum, seconds in steps
    )


def _read_steps(text: str) -> list[tuple[int, float]]:
    pairs = (step.split(":") for step in text.split(","))
    return [(signal.Signals[f"SIG{name}"], float(seconds)) for name, seconds in pairs]


def _watch(lines: Iterable[bytes]) -> None:
    groups: dict[int, tuple[int, str]] = {}
    files: list[str] = []
    for line in lines:
        mark, _, rest = os.fsdecode(line).rstrip("\n").partition(" ")
        if mark == "+":
            pid, rank, steps = rest.split(" ")
            groups[int(pid)] = (int(rank), steps)
        elif mark == "-":
            groups.pop(int(rest), None)
        elif mark == "@":
            files.append(rest)
    for path in files:
        Path(path).unlink(missing_ok=True)
    for leader, (_, how) in sorted(groups.items(), key=lambda item: item[1][0], reverse=True):
        stop_group(leader, _read_steps(how))


def _run(pipe: int, rank: str, steps: str, user: str, argv: list[str]) -> None:
    os.write(pipe, f"+ {os.getpid()} {rank} {steps}\n".encode())
    os.set_inheritable(pipe, False)
    if user != "-":
        uid, gid = user.split(":")
        os.setgroups([])
        os.setgid(int(gid))
        os.setuid(int(uid))
    try:
        os.execv(argv[0], argv)  # noqa: S606 - no shell is wanted: this is the program to run
    except OSError as error:
        sys.exit(f"cannot run {argv[0]}: {error.strerror}")


def _main(arguments: list[str]) -> None:
    if arguments[0] == "run":
        _run(int(arguments[1]), arguments[2], arguments[3], arguments[4], arguments[5:])
        return
    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(signum, signal.SIG_IGN)
    _watch(sys.stdin.buffer)


if __name__ == "__main__":
    _main(sys.argv[1:])
