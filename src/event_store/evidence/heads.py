"""Signed heads: made when the tree has grown, kept in Postgres, never contradicting one another."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from psycopg import AsyncConnection, Connection
from psycopg.rows import TupleRow

from event_store.evidence.growing import size_of
from event_store.evidence.notes import Head, PublicKey, Signer, parsed, signed
from event_store.evidence.tiles import Tiles, needed, read_tiles

ORIGIN = "select 'daybook/' || log_id from log_tree"
NEWEST = "select note from log_heads order by size desc limit 1"
ALL = "select size, note from log_heads where size > %s and size <= %s order by size"
KEYS = "select public_key from log_keys order by first_used_at, public_key"

INSERT = """
insert into log_heads (size, root, signed_at, note) values (%s, %s, %s, %s)
    on conflict (size) do nothing
"""
INSERT_KEY = "insert into log_keys (public_key) values (%s) on conflict do nothing"
# One process at a time looks whether a head is due, and makes it.
LOCK = "select from log_tree for update"


class LogRewritten(Exception):  # noqa: N818 - reads as what was found
    """The tree does not contain what a head says that was signed before."""


def origin_of(connection: Connection[TupleRow]) -> str:
    """Return the name of this log, which no other log has."""
    row = connection.execute(ORIGIN).fetchone()
    assert row is not None  # noqa: S101 - the migration makes the one row
    return str(row[0])


def newest_note(connection: Connection[TupleRow], newest: str = NEWEST) -> str | None:
    """Return the newest signed head, None while there is none; `newest` asks for a chain's."""
    row = connection.execute(newest.encode()).fetchone()
    return None if row is None else str(row[0])


async def newest_note_async(
    connection: AsyncConnection[TupleRow], newest: str = NEWEST
) -> str | None:
    """Return the same."""
    row = await (await connection.execute(newest.encode())).fetchone()
    return None if row is None else str(row[0])


async def keys_async(connection: AsyncConnection[TupleRow]) -> list[str]:
    """Return the public keys that have signed heads, the first one first."""
    return [key for (key,) in await (await connection.execute(KEYS)).fetchall()]


def notes_between(connection: Connection[TupleRow], after: int, upto: int) -> list[tuple[int, str]]:
    """Return the heads of trees with sizes in (after, upto], each with its size."""
    return connection.execute(ALL, [after, upto]).fetchall()


def sign(
    connection: Connection[TupleRow], signers: Sequence[Signer], between: timedelta
) -> str | None:
    """Sign the tree as it is now, unless it has a head or the newest is not old enough.

    Returns the note that was made. Raises `LogRewritten` if the tree is not the continuation of
    the newest head's, and then signs nothing.
    """
    now = datetime.now(UTC).replace(microsecond=0)
    with connection.transaction():
        connection.execute(LOCK)
        size = size_of(connection)
        note = newest_note(connection)
        before = None if note is None else head_in(note)
        if not is_due(before, size, now, between):
            return None
        if before is not None:
            check_contains(connection, before, size)
        head = Head(signers[0].public.name, size, root_at(connection, size), now)
        note = signed(head.text, signers)
        connection.execute(INSERT, [size, head.root, now, note])
        for signer in signers:
            connection.execute(INSERT_KEY, [str(signer.public)])
    return note


def is_due(before: Head | None, size: int, now: datetime, between: timedelta) -> bool:
    """Tell whether something of this size is to be signed, if a head of it was signed before."""
    if before is None:
        return size > 0
    return 0 < size != before.size and now - before.signed_at >= between


def check_contains(connection: Connection[TupleRow], head: Head, size: int) -> None:
    """Raise `LogRewritten` unless a tree of this size begins as a head says."""
    if head.size > size:
        raise LogRewritten(f"The tree has {size} events, and {head.size} were signed before.")
    if root_at(connection, head.size) != head.root:
        raise LogRewritten(f"The tree's first {head.size} events are not those that were signed.")


def root_at(connection: Connection[TupleRow], size: int) -> bytes:
    """Return the root of the stored tree when it had so many leaves; `TreeDamaged`."""
    whole = (0, size)
    return Tiles(read_tiles(connection, needed([whole]))).root(whole)


def head_in(note: str) -> Head:
    """Return the head that a note states, whoever has signed it; `BadNote`."""
    return parsed(note.rpartition("\n\n")[0] + "\n")


def published_keys(connection: Connection[TupleRow]) -> list[PublicKey]:
    """Return the keys that the database says have signed heads: to be shown, not to be trusted."""
    return [PublicKey.parse(key) for (key,) in connection.execute(KEYS).fetchall()]
