"""The evidence over HTTP: what is signed is shown to all, and proofs convince whoever doubts."""

from base64 import b64decode
from datetime import timedelta

import pytest

from event_store.connections import connect
from event_store.evidence.growing import grow
from event_store.evidence.heads import head_in, origin_of, sign
from event_store.evidence.merkle import check_consistency, leaf_hash, root_by_inclusion
from event_store.evidence.notes import PublicKey, Signer, head_of
from tests.api.conftest import Client, Person, data_of, list_product, refused

SEED = b"a secret of thirty-two bytes ..."


def attest(database_url: str) -> int:
    with connect(database_url, name="test") as connection:
        grow(connection)
        note = sign(connection, [Signer(origin_of(connection), SEED)], timedelta(0))
    assert note is not None
    return head_in(note).size


@pytest.fixture(scope="module")
def sizes(database_url: str, staff: Person) -> list[int]:
    made = []
    for _ in range(2):
        list_product(staff)
        made.append(attest(database_url))
    return made


def test_before_anything_is_signed_there_is_no_head(client: Client) -> None:
    refused(client.get("/api/v1/audit/head"), 404, "NOT_FOUND")
    assert data_of(client.get("/api/v1/audit/keys")) == {"keys": []}


def test_anybody_can_keep_the_newest_head(client: Client, sizes: list[int]) -> None:
    shown = data_of(client.get("/api/v1/audit/head"))
    keys = [PublicKey.parse(key) for key in data_of(client.get("/api/v1/audit/keys"))["keys"]]
    head = head_of(shown["note"], keys)
    assert (head.size, head.root) == (shown["size"], b64decode(shown["root"]))
    assert shown["size"] == sizes[1]


def test_a_proof_leads_from_an_event_to_the_head(auditor: Person, sizes: list[int]) -> None:
    for position in (1, sizes[0], sizes[1]):
        proof = data_of(auditor.ask("GET", f"/audit/proofs/inclusion?position={position}"))
        leaf = leaf_hash(proof["leaf"].encode())
        assert b64decode(proof["leafHash"]) == leaf
        path = [b64decode(one) for one in proof["hashes"]]
        root = root_by_inclusion(leaf, position - 1, proof["size"], path)
        assert root == head_in(proof["note"]).root
        assert proof["size"] == (sizes[0] if position <= sizes[0] else sizes[1])  # the oldest
    asked = f"/audit/proofs/inclusion?position={sizes[1] + 1}"
    refused(auditor.ask("GET", asked), 404, "NOT_FOUND")
    refused(auditor.ask("GET", "/audit/proofs/inclusion"), 400, "MALFORMED_REQUEST")


def test_a_proof_leads_from_one_head_to_the_next(auditor: Person, sizes: list[int]) -> None:
    first, second = sizes
    asked = f"/audit/proofs/consistency?first={first}&second={second}"
    proof = data_of(auditor.ask("GET", asked))
    heads = [head_in(proof[name]) for name in ("firstNote", "secondNote")]
    path = [b64decode(one) for one in proof["hashes"]]
    check_consistency(first, heads[0].root, second, heads[1].root, path)
    for wrong in (f"first={second}&second={first}", f"first=1&second={second}"):
        refused(auditor.ask("GET", f"/audit/proofs/consistency?{wrong}"), 404, "NOT_FOUND")
