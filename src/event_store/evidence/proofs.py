"""Proofs for others: that an event is in a signed log, that one signed log continues another."""

from base64 import b64encode
from collections.abc import Sequence

import msgspec
from psycopg import AsyncConnection
from psycopg.rows import TupleRow

from event_store.evidence.leaves import line_of
from event_store.evidence.merkle import Subtree, consistency, inclusion, leaf_hash
from event_store.evidence.tiles import Tiles, needed, read_tiles_async

NOTE = "select note from log_heads where size = %s"
COVERING = "select size, note from log_heads where size >= %s order by size limit 1"


class InclusionProof(msgspec.Struct, frozen=True, rename="camel"):
    """That an event is in the log that a head signs. Hashes are base64, from the leaf upwards.

    `leaf` is the text whose hash (RFC 9162, 2.1.1) is the leaf's; its index is position - 1.
    """

    position: int
    size: int
    leaf: str
    leaf_hash: str
    hashes: list[str]
    note: str


class ConsistencyProof(msgspec.Struct, frozen=True, rename="camel"):
    """That the log which the first head signs is the beginning of that of the second."""

    first: int
    second: int
    hashes: list[str]
    first_note: str
    second_note: str


async def inclusion_proof(
    connection: AsyncConnection[TupleRow], position: int
) -> InclusionProof | None:
    """Prove an event by the oldest head that covers it; None if there is none (yet)."""
    row = await (await connection.execute(COVERING, [position])).fetchone()
    if row is None or position < 1 or (leaf := await line_of(connection, position)) is None:
        return None
    size, note = row
    hashes = await roots(connection, inclusion(position - 1, size))
    return InclusionProof(
        position, size, leaf.decode(), encoded(leaf_hash(leaf)), list(map(encoded, hashes)), note
    )


async def consistency_proof(
    connection: AsyncConnection[TupleRow], first: int, second: int
) -> ConsistencyProof | None:
    """Prove that a head continues another one; None if one of these sizes was never signed."""
    notes = [await note_of(connection, size) for size in (first, second)]
    if notes[0] is None or notes[1] is None or first > second:
        return None
    hashes = await roots(connection, consistency(first, second))
    return ConsistencyProof(first, second, list(map(encoded, hashes)), notes[0], notes[1])


async def note_of(connection: AsyncConnection[TupleRow], size: int) -> str | None:
    """Return the head that signs so many events, if there is one."""
    row = await (await connection.execute(NOTE, [size])).fetchone()
    return None if row is None else str(row[0])


async def roots(connection: AsyncConnection[TupleRow], subtrees: Sequence[Subtree]) -> list[bytes]:
    """Return the roots of some subtrees of the stored tree; `TreeDamaged`."""
    tiles = Tiles(await read_tiles_async(connection, needed(subtrees)))
    return [tiles.root(subtree) for subtree in subtrees]


def encoded(digest: bytes) -> str:
    """Return a hash as it is written in JSON."""
    return b64encode(digest).decode()
