"""The Merkle tree of RFC 9162, 2.1: hashes, which subtrees a proof is made of, checking a proof.

Subtrees are named by the leaves they cover, (begin, end) counted from 0. Nothing here does I/O.
"""

from collections.abc import Iterator, Sequence
from hashlib import sha256
from itertools import pairwise

Subtree = tuple[int, int]

LEAF, NODE = b"\0", b"\1"
EMPTY = sha256(b"").digest()


class BadProof(Exception):  # noqa: N818 - reads as what was found
    """A proof does not show what it is said to show."""


def leaf_hash(data: bytes) -> bytes:
    """Return the hash of a leaf's bytes."""
    return sha256(LEAF + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of a node above two others."""
    return sha256(NODE + left + right).digest()


def complete_root(hashes: Sequence[bytes]) -> bytes:
    """Return the root above hashes of equal subtrees; there are 1, 2, 4, 8 … of them."""
    level = list(hashes)
    while len(level) > 1:
        pairs = iter(level)
        level = [sha256(NODE + left + right).digest() for left, right in zip(pairs, pairs)]  # noqa: B905 - the same iterator twice
    return level[0]


def joined(peaks: Sequence[bytes]) -> bytes:
    """Return the root of a tree of its complete subtrees, the largest (leftmost) first."""
    if not peaks:
        return EMPTY
    root = peaks[-1]
    for peak in reversed(peaks[:-1]):
        root = node_hash(peak, root)
    return root


def split(begin: int, end: int) -> int:
    """Return where a subtree of two leaves or more has its right child begin."""
    return begin + (1 << ((end - begin - 1).bit_length() - 1))


def inclusion(index: int, size: int) -> list[Subtree]:
    """Return what proves that a leaf is in a tree of so many leaves (RFC 9162, 2.1.3.1)."""
    begin, end, path = 0, size, list[Subtree]()
    while end - begin > 1:
        middle = split(begin, end)
        if index < middle:
            path.append((middle, end))
            end = middle
        else:
            path.append((begin, middle))
            begin = middle
    return path[::-1]


def consistency(first: int, second: int) -> list[Subtree]:
    """Return what proves that a tree is the beginning of a larger one (RFC 9162, 2.1.4.1)."""
    if first in {0, second}:
        return []
    begin, end, path = 0, second, list[Subtree]()
    while end != first:
        middle = split(begin, end)
        if first <= middle:
            path.append((middle, end))
            end = middle
        else:
            path.append((begin, middle))
            begin = middle
    # The old tree itself is known to whoever has its head; a part of it is not.
    return [*([(begin, end)] if begin else []), *reversed(path)]


def batch(indexes: Sequence[int], size: int) -> Iterator[Subtree]:
    """Yield what proves, together, that some leaves are in a tree: all that is not above them.

    `indexes` grow. In the order of the leaves, so that it can be made and checked as a stream.
    """
    for before, after in pairwise([-1, *indexes, size]):
        yield from gap(before + 1, after, size)


def gap(begin: int, end: int, size: int) -> Iterator[Subtree]:
    """Yield the largest subtrees of a tree that lie in a stretch of its leaves, left to right."""
    while begin < end:
        yield (largest := largest_at(begin, end, size))
        begin = largest[1]


def largest_at(begin: int, end: int, size: int) -> Subtree:
    """Return the largest subtree of a tree that begins at a leaf and ends within a stretch."""
    low, high = 0, size
    while low != begin or high > end:
        middle = split(low, high)
        low, high = (middle, high) if begin >= middle else (low, middle)
    return low, high


def root_by_inclusion(leaf: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes:
    """Return the root that an inclusion proof leads to (RFC 9162, 2.1.3.2); `BadProof`."""
    if not 0 <= index < size:
        raise BadProof("The tree has no such leaf.")
    place, last, root = index, size - 1, leaf
    for one in path:
        if last == 0:
            raise BadProof("The proof is too long.")
        if place & 1 or place == last:
            root = node_hash(one, root)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            root = node_hash(root, one)
        place, last = place >> 1, last >> 1
    if last:
        raise BadProof("The proof is too short.")
    return root


def check_consistency(  # noqa: C901 - it is the RFC's algorithm, step by step
    first: int, first_root: bytes, second: int, second_root: bytes, path: Sequence[bytes]
) -> None:
    """Check that a tree is the beginning of another one (RFC 9162, 2.1.4.2); `BadProof`."""
    if first > second or first < 0:
        raise BadProof("The first tree is the larger one.")
    if first in {0, second}:
        if path or (first and first_root != second_root):
            raise BadProof("Two trees of one size differ.")
        return
    nodes = [first_root, *path] if first & (first - 1) == 0 else [*path]
    if not nodes:
        raise BadProof("The proof is too short.")
    place, last = first - 1, second - 1
    while place & 1:
        place, last = place >> 1, last >> 1
    old = new = nodes[0]
    for one in nodes[1:]:
        if last == 0:
            raise BadProof("The proof is too long.")
        if place & 1 or place == last:
            old, new = node_hash(one, old), node_hash(one, new)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            new = node_hash(new, one)
        place, last = place >> 1, last >> 1
    if last or old != first_root or new != second_root:
        raise BadProof("The first tree is not the beginning of the second one.")
