"""The right edge of a tree: what has to be known of it to add leaves and to tell its root."""

from collections.abc import Mapping, Sequence
from typing import Self

from event_store.evidence.merkle import complete_root, joined
from event_store.evidence.tiles import HASH, HEIGHT, WIDTH, TileKey, TreeDamaged, cut


class Edge:
    """A tree that grows to the right. `rows[L]` are the hashes of the last tile of level L."""

    def __init__(self) -> None:
        """Begin with the empty tree."""
        self.size = 0
        self.rows: list[list[bytes]] = []

    @classmethod
    def of(cls, size: int, tiles: Mapping[TileKey, bytes]) -> Self:
        """Return the edge of a tree of so many leaves from its stored tiles, which may hold more.

        Raises `TreeDamaged` if they hold less.
        """
        edge = cls()
        edge.size = size
        for level, index in edge_tiles(size):
            count = (size >> (HEIGHT * level)) % WIDTH
            hashes = tiles.get((level, index), b"")[: count * HASH]
            if len(hashes) != count * HASH:
                raise TreeDamaged(f"Tile {index} of level {level} of the tree is not complete.")
            edge.rows.append(cut(hashes))
        return edge

    def add(self, leaves: Sequence[bytes]) -> dict[TileKey, bytes]:
        """Add hashes of leaves and return the tiles that are full by now."""
        full: dict[TileKey, bytes] = {}
        added = list(leaves)
        level, index = 0, self.size // WIDTH
        self.size += len(added)
        while added:
            if level == len(self.rows):
                self.rows.append([])
            row = self.rows[level] + added
            whole = len(row) // WIDTH
            added = []
            for number in range(whole):
                hashes = row[number * WIDTH : (number + 1) * WIDTH]
                full[level, index + number] = b"".join(hashes)
                added.append(complete_root(hashes))
            self.rows[level] = row[whole * WIDTH :]
            level, index = level + 1, index // WIDTH
        return full

    def open_tiles(self) -> dict[TileKey, bytes]:
        """Return the tiles at the edge that hold something and are not full."""
        return {
            (level, index): b"".join(self.rows[level])
            for level, index in edge_tiles(self.size)
            if self.rows[level]
        }

    def root(self) -> bytes:
        """Return the root of the tree as it is now."""
        found: list[bytes] = []
        for row in reversed(self.rows):
            begin = 0
            while begin < len(row):
                count = 1 << ((len(row) - begin).bit_length() - 1)
                found.append(complete_root(row[begin : begin + count]))
                begin += count
        return joined(found)


def edge_tiles(size: int) -> list[TileKey]:
    """Return the tiles at the right edge of a tree, from level 0 up, those without hashes too."""
    found = []
    level = 0
    while size >> (HEIGHT * level):
        found.append((level, size >> (HEIGHT * (level + 1))))
        level += 1
    return found
