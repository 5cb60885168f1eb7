"""The processes of a run: writers, who may be killed and started again, and readers."""

import multiprocessing
import threading
import time
from collections.abc import Callable
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.oracle import reader, unsafe, writer
from tests.oracle.plan import Board, Plan, Post

FINISH_SECONDS = 120.0
# Loaded once, in the process that the others are forked from: a new writer is there at once.
FORKED = multiprocessing.get_context("forkserver")
FORKED.set_forkserver_preload(["tests.oracle.writer", "tests.oracle.reader"])


class Unfinished(Exception):  # noqa: N818 - it says what became of the run
    """A process of the run ended by itself, or does not end."""


class Crew:
    """Writers and readers at work, for as long as a `with` block lasts."""

    def __init__(self, plan: Plan, database_url: str, folder: Path) -> None:
        self.plan, self.board = plan, Board(plan)
        self._url, self._folder = database_url, folder
        unsafely = plan.recorder == "unsafe"
        self._write = unsafe.write if unsafely else writer.write
        self._read = unsafe.read if unsafely else reader.read
        self._asking = threading.Lock()  # two threads must not ask for one exit code
        self._writers: list[ForkServerProcess] = []
        self._readers: list[ForkServerProcess] = []

    def __enter__(self) -> Self:
        self._readers = [self._start(self._read, n) for n in range(self.plan.readers)]
        self._writers = [self._start(self._write, n) for n in range(self.plan.writers)]
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for process in (*self._writers, *self._readers):
            process.kill()
            process.join()

    @property
    def acknowledged(self) -> int:
        """Return how many events have been acknowledged so far."""
        return sum(self.board.acknowledged)

    def kill_writer(self, number: int, seconds: float) -> None:
        """Kill a writer, and start it again after some seconds."""
        with self._asking:
            victim = self._writers[number]
            victim.kill()
            victim.join()
        time.sleep(seconds)
        self._writers[number] = self._start(self._write, number)

    def finish_writers(self) -> None:
        """Let the writers finish what they have begun. Raises `Unfinished`."""
        self.board.close()
        finish("writer", self._writers)

    def finish_readers(self, last: int) -> None:
        """Let the readers read to the last position. Raises `Unfinished`."""
        self.board.end_at(last)
        finish("reader", self._readers)

    def check(self) -> None:
        """Raise `Unfinished` if a process has ended by itself."""
        with self._asking:
            codes = [process.exitcode for process in (*self._writers, *self._readers)]
        for code in codes:
            if code is not None and code > 0:
                raise Unfinished(f"A writer or reader ended by itself, with exit code {code}.")

    def _start(self, work: Callable[[Post], None], number: int) -> ForkServerProcess:
        post = Post(self.plan, self.board, number, self._url, self._folder)
        process = FORKED.Process(target=work, args=(post,))
        process.start()
        return process


def finish(name: str, processes: list[ForkServerProcess]) -> None:
    """Wait until processes have ended well. Raises `Unfinished`."""
    deadline = time.monotonic() + FINISH_SECONDS
    for process in processes:
        process.join(max(0.1, deadline - time.monotonic()))
        if process.exitcode is None:
            raise Unfinished(f"A {name} does not end within {FINISH_SECONDS:g} s.")
        if process.exitcode:
            raise Unfinished(f"A {name} ended with exit code {process.exitcode}.")
