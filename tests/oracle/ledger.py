"""What a writer asked for and was told, written down by itself before it asks and once it is told.

Two files in the form of Postgres's COPY. What write(2) has taken survives the writer's death by
SIGKILL; the machine itself is not killed here, so nothing is synced.
"""

import os
from collections import Counter
from pathlib import Path
from typing import Literal, Self
from uuid import UUID

from tests.oracle.requests import Request

Word = Literal[
    "appended", "repeated", "conflict", "claimed", "failed", "unavailable", "rolled back"
]
NULL = r"\N"


class Ledger:
    """One writer's ledger; each incarnation of the writer goes on in it."""

    def __init__(self, folder: Path, writer: int) -> None:
        self._writer = writer
        self._asked_in, self._told_in = folder / f"asked-{writer}", folder / f"told-{writer}"
        for path in (self._asked_in, self._told_in):
            path.touch()
            cut_torn_line(path)
        self._asked = os.open(self._asked_in, os.O_WRONLY | os.O_APPEND)
        self._told = os.open(self._told_in, os.O_WRONLY | os.O_APPEND)
        self.attempts: Counter[int] = Counter()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._asked)
        os.close(self._told)

    def ask(self, asked: UUID, request: Request) -> None:
        """Write down what is asked for, before it is."""
        holder = str(request.parts[0][0])
        fields = (asked, self._writer, request.number, request.events, holder)
        optional = (request.key or NULL, request.claim or NULL)
        os.write(self._asked, line(*fields, *optional))

    def tell(
        self, asked: UUID, word: Word, position: int | None = None, first: str | None = None
    ) -> None:
        """Write down an answer; `first`: the command that was carried out under the key."""
        place = NULL if position is None else position
        os.write(self._told, line(asked, word, place, first or NULL))

    def resume(self) -> tuple[int, list[int]]:
        """Return the next number to begin with, and the keyed requests that are still unsure."""
        told = {row[0]: row[1] for row in rows(self._told_in)}
        unsure: set[int] = set()
        following = 0
        for asked, _, number, _, _, key, _ in rows(self._asked_in):
            request = int(number)
            self.attempts[request] += 1
            following = max(following, request + 1)
            if key == NULL:
                continue
            if told.get(asked, "unavailable") == "unavailable":
                unsure.add(request)
            else:
                unsure.discard(request)
        return following, sorted(unsure)


def line(*fields: object) -> bytes:
    """Return a row in the form of COPY."""
    return ("\t".join(map(str, fields)) + "\n").encode()


def rows(path: Path) -> list[list[str]]:
    """Return the rows of a file."""
    return [row.split("\t") for row in path.read_text().splitlines()]


def cut_torn_line(path: Path) -> None:
    """Cut off a last line of which only a part was written."""
    content = path.read_bytes()
    os.truncate(path, content.rfind(b"\n") + 1)
