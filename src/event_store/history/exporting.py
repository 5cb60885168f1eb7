"""Exports: the events of a question up to a signed head, page by page, with a proof of all of them.

The proof is a file of its own: a line that says what was asked and has the signed head, then the
hashes that, with those of the events, lead to the head's root (in the order of the leaves), a line
that says how much there was, and a signature of it all. `tools/verify_export.py` checks it.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from hashlib import sha256
from typing import Any

import msgspec
from psycopg import AsyncConnection
from psycopg.rows import TupleRow

from event_store.evidence.heads import head_in, newest_note_async
from event_store.evidence.merkle import Subtree, gap
from event_store.evidence.notes import Head, Signer
from event_store.evidence.proofs import encoded, note_of, roots
from event_store.history.entries import Entry
from event_store.history.questions import Question
from event_store.history.search import find

PAGE = 1_000
KIND = "daybook-export-proof/1"

Borrow = Callable[[], AbstractAsyncContextManager[AsyncConnection[TupleRow]]]


class Unproven(Exception):  # noqa: N818 - reads as what was found
    """There is no signed head to export under."""


class Manifest(msgspec.Struct, frozen=True):
    """The first line of a proof: what was asked, and the head under which it was answered."""

    size: int
    note: str
    question: dict[str, Any]
    kind: str = KIND


class End(msgspec.Struct, frozen=True):
    """The last line of a proof. `sha256` is that of the exported file, where it is known."""

    rows: int
    sha256: str | None


async def head_for(borrow: Borrow, size: int | None = None) -> tuple[Head, str]:
    """Return the head of this size, else the newest one, to export under; `Unproven`."""
    async with borrow() as connection:
        wanted = newest_note_async(connection) if size is None else note_of(connection, size)
        note = await wanted
    if note is None:
        raise Unproven("There is no signed head to export under yet.")
    return head_in(note), note


async def pages(borrow: Borrow, question: Question, size: int) -> AsyncIterator[list[Entry]]:
    """Yield the events of a question among the first `size` of the log, the oldest first."""
    first, end = question.positions
    after, end = (first or 1) - 1, min(end or size + 1, size + 1)
    while True:
        part = msgspec.structs.replace(question, positions=(after + 1, end), descending=False)
        async with borrow() as connection:
            found = await find(connection, part, PAGE)
        if found:
            yield found
        if len(found) < PAGE:
            return
        after = found[-1].position


class Proof:
    """The lines of a proof, made while the events go by in order."""

    def __init__(self, borrow: Borrow, manifest: Manifest, signers: Sequence[Signer]) -> None:
        self._borrow, self._manifest, self._signers = borrow, manifest, signers
        self._digest = sha256()
        self._done = 0
        self.size = manifest.size
        self.rows = 0

    def begin(self) -> bytes:
        """Return the first line."""
        return self._line(msgspec.json.encode(self._manifest))

    async def page(self, positions: Sequence[int]) -> bytes:
        """Return the lines up to the last of some positions."""
        subtrees: list[Subtree] = []
        for position in positions:
            subtrees += gap(self._done, position - 1, self.size)
            self._done = position
        self.rows += len(positions)
        return await self._hashes(subtrees)

    async def end(self, file_digest: str | None = None) -> bytes:
        """Return the lines after the last position, what there was, and the signatures."""
        lines = await self._hashes(list(gap(self._done, self.size, self.size)))
        lines += self._line(msgspec.json.encode(End(self.rows, file_digest)))
        text = signed_text(self._digest.hexdigest())
        return lines + "".join(signer.line(text) for signer in self._signers).encode()

    async def _hashes(self, subtrees: Sequence[Subtree]) -> bytes:
        if not subtrees:
            return b""
        async with self._borrow() as connection:
            found = await roots(connection, subtrees)
        return b"".join(self._line(encoded(one).encode()) for one in found)

    def _line(self, text: bytes) -> bytes:
        self._digest.update(text + b"\n")
        return text + b"\n"


def signed_text(digest: str) -> str:
    """Return the text that is signed for a proof whose lines have this SHA-256."""
    return f"{KIND}\n{digest}\n"
