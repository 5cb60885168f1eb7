"""What a run is asked to do, and the board on which its processes see each other's progress."""

import ctypes
from dataclasses import dataclass
from multiprocessing.sharedctypes import RawArray
from pathlib import Path
from typing import Any, Literal

import msgspec

Recorder = Literal["daybook", "unlocked", "unsafe"]


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """Sizes and chance of a run.

    `clients`: requests under way at once in each writer; `pause`: mean seconds between faults.
    It ends once there are so many `events` and every fault has been, or after `seconds`.
    `recorder`: `daybook`, or one that loses events, which runs without faults: `unlocked` is our
    append function without its lock, `unsafe` the fast mode of the package `eventsourcing`.
    """

    events: int
    writers: int = 3
    readers: int = 3
    clients: int = 16
    seconds: float = 36_000.0
    seed: int = 1
    pause: float = 4.0
    recorder: Recorder = "daybook"

    @property
    def streams(self) -> int:
        """Return how many streams of its own a writer has."""
        return max(20, self.events // self.writers // 50)


class Board:
    """Shared memory: it outlives a process that is killed, and needs no lock that one could hold.

    `acknowledged` counts events by writer; `reached` is each reader's position.
    """

    def __init__(self, plan: Plan) -> None:
        self.acknowledged: Any = RawArray(ctypes.c_int64, plan.writers)
        self.reached: Any = RawArray(ctypes.c_int64, plan.readers)
        self._signs: Any = RawArray(ctypes.c_int64, [0, -1])

    @property
    def closing(self) -> bool:
        """Tell whether writers are to finish what they have begun, and begin nothing more."""
        return bool(self._signs[0])

    def close(self) -> None:
        """Have the writers finish."""
        self._signs[0] = 1

    @property
    def last(self) -> int | None:
        """Return the last position there will be, once that is known."""
        return None if self._signs[1] < 0 else int(self._signs[1])

    def end_at(self, position: int) -> None:
        """Tell the readers how far to read."""
        self._signs[1] = position


@dataclass(frozen=True)
class Post:
    """What a process of a run is given: which one it is, and where everything is."""

    plan: Plan
    board: Board
    number: int
    database_url: str
    folder: Path
