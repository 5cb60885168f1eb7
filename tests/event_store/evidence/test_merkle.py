"""The tree is that of RFC 9162: the reference vectors, and a tree made as the RFC words it."""

from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from event_store.evidence.edge import Edge, edge_tiles
from event_store.evidence.merkle import (
    BadProof,
    batch,
    check_consistency,
    consistency,
    inclusion,
    leaf_hash,
    root_by_inclusion,
)
from event_store.evidence.tiles import TileKey, Tiles, TreeDamaged, needed

# Of the certificate-transparency project, which made them for RFC 6962.
DATA = [
    b"",
    b"\x00",
    b"\x10",
    b"\x20\x21",
    b"\x30\x31",
    b"\x40\x41\x42\x43",
    bytes.fromhex("5051525354555657"),
    bytes.fromhex("606162636465666768696a6b6c6d6e6f"),
]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
INCLUSION = {
    (0, 8): [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ],
    (5, 8): [
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
    (2, 3): ["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"],
    (1, 5): [
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ],
}
CONSISTENCY = {
    (1, 1): [],
    (1, 8): INCLUSION[0, 8],
    (6, 8): [
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
    (2, 5): [
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ],
}


def tree_of(leaves: list[bytes]) -> tuple[Edge, Tiles]:
    """Return a tree of some leaves as it grows and as it is stored."""
    edge = Edge()
    stored: dict[TileKey, bytes] = edge.add(leaves) | edge.open_tiles()
    return edge, Tiles(stored)


def naive(leaves: list[bytes]) -> bytes:
    """Return the root as RFC 9162, 2.1.1 words it."""
    if len(leaves) == 1:
        return leaves[0]
    middle = 1
    while middle * 2 < len(leaves):
        middle *= 2
    return sha256(b"\1" + naive(leaves[:middle]) + naive(leaves[middle:])).digest()


def some(count: int) -> list[bytes]:
    return [leaf_hash(b"%d" % number) for number in range(count)]


@pytest.mark.parametrize("size", range(9))
def test_the_roots_are_those_of_the_reference(size: int) -> None:
    edge, _ = tree_of([leaf_hash(one) for one in DATA[:size]])
    assert edge.root().hex() == ROOTS[size]


@pytest.mark.parametrize(("index", "size"), INCLUSION)
def test_inclusion_proofs_are_those_of_the_reference(index: int, size: int) -> None:
    leaves = [leaf_hash(one) for one in DATA]
    _, tiles = tree_of(leaves)
    path = [tiles.root(one) for one in inclusion(index, size)]
    assert [one.hex() for one in path] == INCLUSION[index, size]
    assert root_by_inclusion(leaves[index], index, size, path).hex() == ROOTS[size]


@pytest.mark.parametrize(("first", "second"), CONSISTENCY)
def test_consistency_proofs_are_those_of_the_reference(first: int, second: int) -> None:
    _, tiles = tree_of([leaf_hash(one) for one in DATA])
    path = [tiles.root(one) for one in consistency(first, second)]
    assert [one.hex() for one in path] == CONSISTENCY[first, second]
    roots = [bytes.fromhex(ROOTS[size]) for size in (first, second)]
    check_consistency(first, roots[0], second, roots[1], path)


@pytest.mark.parametrize("size", [255, 256, 257, 65_535, 65_536, 65_793])
def test_a_tree_stored_in_tiles_has_the_root_of_the_rfc(size: int) -> None:
    leaves = some(size)
    edge, tiles = tree_of(leaves)
    assert edge.root() == tiles.root((0, size)) == naive(leaves)


@settings(max_examples=60)
@given(st.data())
def test_a_tree_that_grew_by_pages_is_the_tree_made_at_once(data: st.DataObject) -> None:
    leaves = some(data.draw(st.integers(1, 1_500)))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(leaves)), max_size=6)))
    stored: dict[TileKey, bytes] = {}
    edge, before = Edge(), 0
    for cut in [*cuts, len(leaves)]:
        edge = Edge.of(before, {key: stored[key] for key in edge_tiles(before) if key in stored})
        stored |= edge.add(leaves[before:cut]) | edge.open_tiles()
        before = cut
    assert edge.root() == naive(leaves)
    assert Tiles(stored).root((0, len(leaves))) == naive(leaves)


@settings(max_examples=60)
@given(st.data())
def test_every_proof_holds_and_no_other_does(data: st.DataObject) -> None:
    size = data.draw(st.integers(2, 1_200))
    index, first = data.draw(st.integers(0, size - 1)), data.draw(st.integers(1, size))
    leaves = some(size)
    edge, tiles = tree_of(leaves)
    path = [tiles.root(one) for one in inclusion(index, size)]
    assert root_by_inclusion(leaves[index], index, size, path) == edge.root()
    assert root_by_inclusion(leaf_hash(b"another"), index, size, path) != edge.root()
    grown = [tiles.root(one) for one in consistency(first, size)]
    check_consistency(first, naive(leaves[:first]), size, edge.root(), grown)
    with pytest.raises(BadProof):
        check_consistency(first, naive(some(first + 1)[1:]), size, edge.root(), grown)
    for wrong in (path[:-1], [*path, path[0]]):
        with pytest.raises(BadProof):
            root_by_inclusion(leaves[index], index, size, wrong)


@settings(max_examples=60)
@given(st.data())
def test_a_batch_proves_any_choice_of_leaves(data: st.DataObject) -> None:
    size = data.draw(st.integers(1, 700))
    chosen = sorted(data.draw(st.sets(st.integers(0, size - 1), max_size=20)))
    edge, tiles = tree_of(some(size))
    proof = iter([tiles.root(one) for one in batch(chosen, size)])

    def root(begin: int, end: int) -> bytes:
        if not any(begin <= one < end for one in chosen):
            return next(proof)
        if end - begin == 1:
            return leaf_hash(b"%d" % begin)
        middle = begin + (1 << ((end - begin - 1).bit_length() - 1))
        return sha256(b"\1" + root(begin, middle) + root(middle, end)).digest()

    assert root(0, size) == edge.root()
    assert next(proof, None) is None


def test_a_tile_that_lost_hashes_is_damage_and_no_wrong_root() -> None:
    edge = Edge()
    stored = edge.add(some(300)) | edge.open_tiles()
    stored[0, 0] = stored[0, 0][:-1]
    with pytest.raises(TreeDamaged):
        Tiles(stored).root((255, 256))
    with pytest.raises(TreeDamaged):
        Edge.of(300, {})


def test_a_proof_needs_few_tiles() -> None:
    assert len(needed(inclusion(1_234_567, 10_000_000))) <= 8
