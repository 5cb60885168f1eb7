"""The chain over the records of accesses: each has a hash over itself and the one before it.

The end of the chain is signed and published like the log's heads, as the head of a log of its own
whose size is the number of the last record, and whose root is that record's hash.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import NamedTuple

from psycopg import AsyncConnection, Connection
from psycopg.rows import TupleRow

from event_store.evidence.findings import Finding
from event_store.evidence.heads import (
    LogRewritten,
    head_in,
    is_due,
    newest_note,
    newest_note_async,
)
from event_store.evidence.merkle import EMPTY
from event_store.evidence.notes import BadNote, Head, PublicKey, Signer, head_of, signed

PAGE = 10_000
END = "select number, hash from access_chain"
HASH = "select hash from audit_accesses where number = %s"
NEWEST = "select note from access_heads order by number desc limit 1"
NOTES = "select number, note from access_heads order by number"
INSERT = """
insert into access_heads (number, hash, signed_at, note) values (%s, %s, %s, %s)
    on conflict (number) do nothing
"""
# What is hashed is written out here too: a function in the database would not be believed.
RECORDS = """
select number, hash, jsonb_build_array(
           number, (extract(epoch from at) * 1000000)::bigint, kind, actor_id, actor_role,
           request_id, action, asked, rows
       )::text
  from audit_accesses where number > %s order by number limit %s
"""


class Record(NamedTuple):
    """A record of an access: its number, the hash that it has, and what that is to be over."""

    number: int
    hash: bytes
    line: bytes


def origin_of_accesses(origin: str) -> str:
    """Return the name of the chain of a log."""
    return f"{origin}/accesses"


def trusted_for_accesses(trusted: Sequence[PublicKey]) -> list[PublicKey]:
    """Return the keys of a log as they sign its chain of accesses."""
    return [PublicKey(origin_of_accesses(key.name), key.raw) for key in trusted]


def newest_access_note(connection: Connection[TupleRow]) -> str | None:
    """Return the newest signed end of the chain, None while there is none."""
    return newest_note(connection, NEWEST)


async def newest_access_note_async(connection: AsyncConnection[TupleRow]) -> str | None:
    """Return the newest signed end of the chain, None while there is none."""
    return await newest_note_async(connection, NEWEST)


def sign_accesses(
    connection: Connection[TupleRow], origin: str, seeds: Sequence[bytes], between: timedelta
) -> str | None:
    """Sign the chain as it is now, unless that is signed or the newest head is not old enough.

    Raises `LogRewritten` if the chain does not continue the newest head, and then signs nothing.
    """
    now = datetime.now(UTC).replace(microsecond=0)
    number, end = end_of(connection)
    note = newest_access_note(connection)
    before = None if note is None else head_in(note)
    if not is_due(before, number, now, between):
        return None
    if before is not None:
        check_chain_contains(connection, before)
    signers = [Signer(origin_of_accesses(origin), seed) for seed in seeds]
    head = Head(origin_of_accesses(origin), number, end, now)
    note = signed(head.text, signers)
    connection.execute(INSERT, [number, end, now, note])
    return note


def check_chain_contains(connection: Connection[TupleRow], head: Head) -> None:
    """Raise `LogRewritten` unless the record that a head ends with has the hash it had."""
    row = connection.execute(HASH, [head.size]).fetchone()
    if row is None or bytes(row[0]) != head.root:
        raise LogRewritten(f"The record of access {head.size} is not the one that was signed.")


def end_of(connection: Connection[TupleRow]) -> tuple[int, bytes]:
    """Return the number and hash of the last record."""
    row = connection.execute(END).fetchone()
    return (0, EMPTY) if row is None else (int(row[0]), bytes(row[1]))


def records(connection: Connection[TupleRow], after: int) -> Iterator[Record]:
    """Yield the records after a number, in order."""
    while rows := connection.execute(RECORDS, [after, PAGE]).fetchall():
        for number, stored, line in rows:
            yield Record(number, bytes(stored), line.encode())
        after = rows[-1][0]


class Chain:
    """One pass over the records; it ends with the first thing that is wrong."""

    def __init__(self, connection: Connection[TupleRow], kept: Mapping[int, Head]) -> None:
        """`kept` are signed ends of the chain by number."""
        self._connection, self._kept = connection, kept
        self.number, self._last = 0, EMPTY

    def run(self) -> Finding | None:
        """Return the first thing that is wrong, None if all is well."""
        while True:
            before = self.number
            for record in records(self._connection, before or -(1 << 62)):
                if found := self._next(record):
                    return found
            number, end = end_of(self._connection)
            # What was recorded meanwhile is there on the next look.
            if number <= self.number or before == self.number:
                return self._at_end(number, end)

    def _next(self, record: Record) -> Finding | None:
        expected = self.number + 1
        if record.number > expected:
            return wrong(expected, "is missing.")
        if record.number < expected:
            return wrong(record.number, "was inserted.")
        if sha256(self._last + record.line).digest() != record.hash:
            return wrong(record.number, "was altered.")
        self.number, self._last = record.number, record.hash
        if self.number in self._kept and self._kept[self.number].root != self._last:
            return wrong(self.number, "or one before it was rewritten: another one was signed.")
        return None

    def _at_end(self, number: int, end: bytes) -> Finding | None:
        if self.number < max([number, *self._kept]):
            return wrong(self.number + 1, "is missing.")
        if (self.number, self._last) != (number, end):
            return wrong(self.number, "was inserted, or is not the last one.")
        return None


def verify_accesses(
    connection: Connection[TupleRow], trusted: Sequence[PublicKey], published: Sequence[Head]
) -> tuple[int, Finding | None]:
    """Return how many records hold, and the first thing that is wrong with them, if any is.

    `trusted` are the log's keys; `published` are ends of the chain that were kept elsewhere.
    """
    try:
        kept = signed_ends(connection, trusted)
    except BadNote as bad:
        sentence = f"A signed end of the records of accesses does not hold: {bad}"
        return 0, Finding("access", 0, sentence)
    # Of two ends with one number, what was published is not believed less.
    chain = Chain(connection, kept | {head.size: head for head in published})
    finding = chain.run()
    return chain.number, finding


def signed_ends(connection: Connection[TupleRow], trusted: Sequence[PublicKey]) -> dict[int, Head]:
    """Return the ends of the chain that are signed in the database, by number; `BadNote`."""
    keys = trusted_for_accesses(trusted)
    rows = connection.execute(NOTES).fetchall()
    found = {number: head_of(note, keys) for number, note in rows}
    for number, head in found.items():
        if head.size != number:
            raise BadNote(f"The one of record {number} states {head.size}.")
    return found


def wrong(number: int, what: str) -> Finding:
    """Say what is wrong with a record."""
    return Finding("access", number, f"The record of access {number} {what}")
