"""The tree as it is stored: tiles of up to 256 hashes, so that a proof reads a handful of rows.

A tile of level L holds the roots of 256 neighbouring subtrees of 256^L leaves each, as in C2SP's
tlog-tiles. Only complete subtrees are stored; tiles at the right edge are not full.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from psycopg import AsyncConnection, Connection
from psycopg.rows import TupleRow

from event_store.evidence.merkle import Subtree, complete_root, joined

WIDTH, HEIGHT = 256, 8
HASH = 32

TileKey = tuple[int, int]
"""Level and index, both from 0."""

READ = """
select t.level, t.index, t.hashes
  from unnest(%b::int[], %b::bigint[]) as w (level, index)
  join log_tiles t using (level, index)
"""

WRITE = """
insert into log_tiles as t (level, index, hashes)
select * from unnest(%b::int[], %b::bigint[], %b::bytea[])
    on conflict (level, index) do update set hashes = excluded.hashes
"""


class TreeDamaged(Exception):  # noqa: N818 - reads as what was found
    """The stored tree lacks hashes that it must have."""


class Tiles:
    """Some tiles of a tree, and the roots of subtrees that can be had from them."""

    def __init__(self, tiles: Mapping[TileKey, bytes]) -> None:
        self._tiles = tiles

    def root(self, subtree: Subtree) -> bytes:
        """Return the root of a subtree, which may be the tree itself."""
        return joined([self._node(height, index) for height, index in peaks(*subtree)])

    def _node(self, height: int, index: int) -> bytes:
        key, first, count = place_of(height, index)
        hashes = self._tiles.get(key, b"")[first * HASH : (first + count) * HASH]
        if len(hashes) != count * HASH:
            raise TreeDamaged(f"Tile {key[1]} of level {key[0]} of the tree is not complete.")
        return complete_root(cut(hashes))


def cut(hashes: bytes) -> list[bytes]:
    """Return the hashes of a tile one by one."""
    return [hashes[at : at + HASH] for at in range(0, len(hashes), HASH)]


def peaks(begin: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield the complete subtrees of a subtree, largest first, by height and index."""
    while begin < end:
        height = (end - begin).bit_length() - 1
        yield height, begin >> height
        begin += 1 << height


def place_of(height: int, index: int) -> tuple[TileKey, int, int]:
    """Return in which tile a complete subtree is, at which of its hashes, and over how many."""
    level, within = divmod(height, HEIGHT)
    tile, first = divmod(index << within, WIDTH)
    return (level, tile), first, 1 << within


def needed(subtrees: Iterable[Subtree]) -> set[TileKey]:
    """Return the tiles from which the roots of some subtrees can be had."""
    return {place_of(*peak)[0] for subtree in subtrees for peak in peaks(*subtree)}


def read_tiles(connection: Connection[TupleRow], wanted: Iterable[TileKey]) -> dict[TileKey, bytes]:
    """Read tiles; those that are not there are left out."""
    rows = connection.execute(READ, columns_of(wanted), prepare=True).fetchall()
    return {(level, index): bytes(hashes) for level, index, hashes in rows}


async def read_tiles_async(
    connection: AsyncConnection[TupleRow], wanted: Iterable[TileKey]
) -> dict[TileKey, bytes]:
    """Read tiles; those that are not there are left out."""
    cursor = await connection.execute(READ, columns_of(wanted), prepare=True)
    return {(level, index): bytes(hashes) for level, index, hashes in await cursor.fetchall()}


def write_tiles(connection: Connection[TupleRow], tiles: Mapping[TileKey, bytes]) -> None:
    """Write tiles, in the place of those that were less full."""
    connection.execute(WRITE, [*columns_of(tiles), list(tiles.values())], prepare=True)


def columns_of(keys: Iterable[TileKey]) -> list[list[int]]:
    """Return levels and indexes apart."""
    listed: Sequence[TileKey] = list(keys)
    return [[level for level, _ in listed], [index for _, index in listed]]
