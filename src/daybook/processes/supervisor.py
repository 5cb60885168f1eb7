"""The supervisor: starts programs, restarts what dies, stops all in order, leaves none behind."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import FrameType, TracebackType
from typing import Self

from daybook.processes import guard
from daybook.processes.supervised import (
    GENTLE,
    Child,
    Program,
    Steps,
    User,
    ended,
    last_lines,
    rotate,
)

_POLL_SECONDS = 0.05
_KILL = ((signal.SIGKILL, 5.0),)


class ServiceError(Exception):
    """One sentence for the person who started Daybook, with what to do about it."""


class StartError(ServiceError):
    """A program ended, or was not ready in time, when it was started; `log` is what it wrote."""

    def __init__(self, sentence: str, log: str) -> None:
        super().__init__(sentence)
        self.log = log


def say(line: str) -> None:
    """Tell the person who started Daybook, on standard error."""
    sys.stderr.write(f"daybook: {line}\n")
    sys.stderr.flush()


class Supervisor:
    """Runs programs for as long as its `with` block lasts, each in a session of its own.

    Output goes to `<log_dir>/<name>.log`. The `lock` descriptor is shared with the guard, so that
    a lock held by a killed process is free only when its programs have been stopped.
    """

    def __init__(
        self, log_dir: Path, lock: int | None = None, say: Callable[[str], None] = say
    ) -> None:
        self._log_dir = log_dir
        self._lock = lock
        self._say = say
        self._children: list[Child] = []
        self._notice: Path | None = None
        self._changing = threading.RLock()
        self._stopping = threading.Event()
        self._wake = threading.Event()
        self._hurry = False
        self._supervising = False
        self._failure: str | None = None
        self._watcher = threading.Thread(target=self._watch, name="supervisor", daemon=True)

    def __enter__(self) -> Self:
        self._log_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._start_guard()
        self._watcher.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def start(  # noqa: PLR0913 - a program is its name, command, environment, user, check and end
        self,
        name: str,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        user: User | None = None,
        stop: Steps = GENTLE,
        ready: Callable[[], bool] | None = None,
        within: float = 30.0,
    ) -> None:
        """Start a program, wait until `ready`, and restart it from then on whenever it ends.

        `argv[0]` is a path. Programs are stopped in the reverse order of their first start.
        Raises StartError when it ends first, or is not ready `within` so many seconds.
        """
        with self._changing:
            rank = len(self._children)
            log = self._log_dir / f"{name}.log"
            rotate(log)
            child = self._launch(Program(name, argv, env, user, stop, rank, log))
            self._children.append(child)
        try:
            self._await_ready(child, ready, within)
        except StartError:
            guard.stop_group(child.process.pid, child.program.stop, child.alive)
            self._forget(child)
            self._children.remove(child)
            raise
        child.proven = ready is not None
        child.watched = True

    def run(
        self, name: str, argv: Sequence[str], *, user: User | None, env: Mapping[str, str]
    ) -> None:
        """Run a program to its end under the guard. Raises StartError if it fails."""
        log = self._log_dir / f"{name}.log"
        child = self._launch(Program(name, argv, env, user, _KILL, 0, log))
        code = child.process.wait()
        self._forget(child)
        if code:
            raise StartError(f"{name} ended ({ended(code)}); see {log}.", child.written())

    def publish(self, notice: Path) -> None:
        """Have a file removed before anything is stopped, also when this process is killed."""
        self._notice = notice
        self._tell_guard(f"@ {notice}")

    def supervise(self, announce: Callable[[], None]) -> None:
        """Block until SIGINT, SIGTERM or SIGHUP, then stop everything; a second signal: at once.

        `announce` says that it runs: whoever reads that may send a signal. Raises ServiceError when
        a program has failed for good. For the main thread only.
        """
        signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        before = {signum: signal.signal(signum, self._on_signal) for signum in signals}
        self._supervising = True
        try:
            announce()
            while not self._wake.wait(0.5):
                pass
            self.stop()
        finally:
            for signum, handler in before.items():
                signal.signal(signum, handler)
        if self._failure:
            raise ServiceError(self._failure)

    def stop(self) -> None:
        """Stop every program, the last started first, and then the guard."""
        self._stopping.set()
        if self._watcher.is_alive():
            self._watcher.join()
        if self._notice:
            self._notice.unlink(missing_ok=True)
        while self._children:
            child = self._children[-1]
            if not guard.stop_group(
                child.process.pid, child.program.stop, child.alive, lambda: self._hurry
            ):
                self._say(f"{child.program.name} (pid {child.process.pid}) does not end.")
            self._forget(child)
            self._children.pop()
        if not self._guard.stdin.closed:  # type: ignore[union-attr]  # it is a pipe
            self._guard.stdin.close()  # type: ignore[union-attr]  # as above
            self._guard.wait()

    def _on_signal(self, _signum: int, _frame: FrameType | None) -> None:
        self._hurry = self._wake.is_set()
        self._wake.set()

    def _start_guard(self) -> None:
        self._guard = subprocess.Popen(  # noqa: S603 - this file's neighbour
            [sys.executable, "-I", "-S", guard.__file__, "watch"],
            stdin=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,
            pass_fds=() if self._lock is None else (self._lock,),
            cwd="/",
        )
        if self._notice:
            self._tell_guard(f"@ {self._notice}")
        for child in self._children:
            if child.restart_at is None:
                pid, steps = child.process.pid, guard.write_steps(child.program.stop)
                self._tell_guard(f"+ {pid} {child.program.rank} {steps}")

    def _tell_guard(self, line: str) -> None:
        try:
            self._guard.stdin.write(os.fsencode(f"{line}\n"))  # type: ignore[union-attr]  # a pipe
        except BrokenPipeError:
            return  # the watcher starts another guard, which is told everything again

    def _launch(self, program: Program) -> Child:
        pipe = self._guard.stdin.fileno()  # type: ignore[union-attr]  # it is a pipe
        user = program.user
        who = f"{user.uid}:{user.gid}" if user else "-"
        role = ["run", str(pipe), str(program.rank), guard.write_steps(program.stop), who]
        with program.log.open("ab") as output:
            offset = output.tell()
            process = subprocess.Popen(  # noqa: S603 - the programs that our callers name
                [sys.executable, "-I", "-S", guard.__file__, *role, *program.argv],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=(pipe,),
                env=None if program.env is None else dict(program.env),
                cwd="/" if user else None,
            )
        return Child(program, process, offset)

    def _await_ready(self, child: Child, ready: Callable[[], bool] | None, within: float) -> None:
        deadline = time.monotonic() + within
        while ready is not None and not ready():
            code = child.process.poll()
            if code is None and time.monotonic() < deadline:
                time.sleep(_POLL_SECONDS / 5)
                continue
            log = child.written()
            what = f"was not ready within {within:g} s" if code is None else f"ended: {ended(code)}"
            where = f"see {child.program.log}, which ends:\n{last_lines(log)}"
            raise StartError(f"{child.program.name} {what}; {where}", log)

    def _forget(self, child: Child) -> None:
        child.process.poll()
        self._tell_guard(f"- {child.process.pid}")

    def _watch(self) -> None:
        while not self._stopping.wait(_POLL_SECONDS):
            with self._changing:
                if self._guard.poll() is not None:
                    self._guard.stdin.close()  # type: ignore[union-attr]  # it is a pipe
                    self._start_guard()
                for child in list(self._children):
                    if child.watched:
                        self._look_after(child)

    def _look_after(self, child: Child) -> None:
        if child.restart_at is None:
            if child.process.poll() is not None:
                self._on_end(child)
        elif time.monotonic() >= child.restart_at:
            self._start_again(child)

    def _start_again(self, child: Child) -> None:
        try:
            again = self._launch(child.program)
        except OSError as error:  # no memory or no process left for now
            self._say(f"{child.program.name} cannot be started ({error.strerror}); trying again.")
            child.restart_at = time.monotonic() + child.delay
            return
        child.process, child.log_offset = again.process, again.log_offset
        child.started = again.started
        child.restart_at = None

    def _on_end(self, child: Child) -> None:
        """Clear away what is left of its group, and decide when to start it again."""
        guard.stop_group(child.process.pid, _KILL, child.alive)
        self._forget(child)
        seconds = child.next_start()
        if seconds is None:
            self._give_up(child)
            return
        how = ended(child.process.returncode)
        self._say(f"{child.program.name} ended ({how}); starting it again in {seconds:g} s.")

    def _give_up(self, child: Child) -> None:
        child.watched = False
        self._failure = (
            f"{child.program.name} failed {child.failures} times in a row"
            f" ({ended(child.process.returncode)}); see {child.program.log}, which ends:\n"
            f"{last_lines(child.written())}"
        )
        if not self._supervising:
            self._say(self._failure)
        self._wake.set()
