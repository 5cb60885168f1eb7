"""Children of a worker: processes that end when it does, however it ends, and hear of news."""

import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Callable

import structlog

SECONDS_BETWEEN_STARTS = 1.0

log = structlog.get_logger(__name__)


def begin(module: str, database_url: str) -> "subprocess.Popen[bytes]":
    """Start a module; it is to call `end_with_parent`, for its standard input ends with us."""
    child = subprocess.Popen(  # noqa: S603 - our own interpreter and modules
        [sys.executable, "-m", module],
        env={**os.environ, "DAYBOOK_DATABASE_URL": database_url},
        stdin=subprocess.PIPE,
    )
    assert child.stdin is not None  # noqa: S101 - it is a pipe
    os.set_blocking(child.stdin.fileno(), False)
    return child


def end_with_parent(on_news: Callable[[], None] = lambda: None) -> None:
    """End this process at once when its parent has gone; `on_news` is told of what it says.

    Returns at once; what is told is told on a thread of its own.
    """

    def listen() -> None:
        while os.read(sys.stdin.fileno(), 4_096):
            on_news()
        os._exit(0)

    threading.Thread(target=listen, name="parent", daemon=True).start()


class Kept:
    """A child that is there as long as this process lives: if it ends, another is started."""

    def __init__(self, module: str, database_url: str) -> None:
        self._module, self._database_url = module, database_url
        self._child: subprocess.Popen[bytes] | None = None
        self._stopping = threading.Event()

    def start(self) -> None:
        """Begin to keep it; from here on everything happens on a thread of its own."""
        threading.Thread(target=self._keep, name=self._module, daemon=True).start()

    def tell(self) -> None:
        """Say that there is news; returns at once. What has not been read yet says it all."""
        child = self._child
        if child is not None and child.stdin is not None:
            with contextlib.suppress(OSError):
                os.write(child.stdin.fileno(), b"\n")

    def stop(self) -> None:
        """End it, and start no other."""
        self._stopping.set()
        if self._child is not None:
            self._child.kill()

    def _keep(self) -> None:
        while not self._stopping.is_set():
            try:
                with begin(self._module, self._database_url) as self._child:
                    exit_code = self._child.wait()
            except OSError as error:
                log.error("child_not_started", module=self._module, error=str(error))  # noqa: TRY400 - says it all
            else:
                if not self._stopping.is_set():
                    log.error("child_ended", module=self._module, exit_code=exit_code)
            self._stopping.wait(SECONDS_BETWEEN_STARTS)
