"""Hearing of a stop signal before the web server does what it does about it."""

import asyncio
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGTERM, signal.SIGINT)


@contextmanager
def on_stop_signal(act: Callable[[], None]) -> Iterator[None]:
    """Have `act` called in this event loop when the process is told to stop, while the block lasts.

    granian waits for all answers to end before it ends the application, and event streams end only
    when they are told to. Its own handlers, and the loop's, are called all the same.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # a test: signals belong to the main thread
        return
    loop = asyncio.get_running_loop()
    before = {number: signal.getsignal(number) for number in SIGNALS}

    def stop(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(act)
        if callable(previous := before[signal.Signals(number)]):
            previous(number, frame)

    for number, previous in before.items():
        if callable(previous):
            signal.signal(number, stop)
    try:
        yield
    finally:
        for number, previous in before.items():
            if callable(previous):
                signal.signal(number, previous)
