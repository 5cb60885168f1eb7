"""A token opens with its subject's key at its own place, and nowhere else."""

from uuid import UUID

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from event_store.privacy.tokens import TOKEN, Damaged, Place, open_sealed, seal_fields, subjects_in

ALICE, BOB = UUID(int=1), UUID(int=2)
CIPHER = AESGCM(bytes(range(32)))
PLACE = Place(UUID(int=7), 3, "name")


def seal(text: str, subject: UUID, cipher: AESGCM, place: Place) -> str:
    return seal_fields({place.field: text}, subject, cipher, place.stream_id, place.version)[
        place.field
    ]


def coded(token: str) -> str:
    found = TOKEN.fullmatch(token)
    assert found is not None
    return found[2]


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_text_comes_back(text: str) -> None:
    assert open_sealed(coded(seal(text, ALICE, CIPHER, PLACE)), CIPHER, PLACE) == text


def test_no_two_tokens_of_one_text_are_alike() -> None:
    assert len({seal("Alice", ALICE, CIPHER, PLACE) for _ in range(100)}) == 100


@pytest.mark.parametrize(
    "elsewhere",
    [PLACE._replace(stream_id=BOB), PLACE._replace(version=4), PLACE._replace(field="email")],
)
def test_a_token_that_was_moved_does_not_open(elsewhere: Place) -> None:
    with pytest.raises(Damaged, match=f"{elsewhere.field} of {elsewhere.stream_id}"):
        open_sealed(coded(seal("Alice", ALICE, CIPHER, PLACE)), CIPHER, elsewhere)


@pytest.mark.parametrize("at", range(0, 44, 3))
def test_a_token_that_was_altered_does_not_open(at: int) -> None:
    text = coded(seal("Alice", ALICE, CIPHER, PLACE))
    other = "A" if text[at] != "A" else "B"
    with pytest.raises(Damaged):
        open_sealed(text[:at] + other + text[at + 1 :], CIPHER, PLACE)


@pytest.mark.parametrize("text", ["", "A", "AAAA", "A" * 15, "A" * 16])
def test_a_token_that_was_cut_short_does_not_open(text: str) -> None:
    with pytest.raises(Damaged):
        open_sealed(text, CIPHER, PLACE)


def test_the_key_of_somebody_else_does_not_open_it() -> None:
    with pytest.raises(Damaged):
        open_sealed(coded(seal("Alice", ALICE, CIPHER, PLACE)), AESGCM(bytes(32)), PLACE)


def test_the_subjects_of_tokens_are_found_in_json() -> None:
    tokens = [seal("x", ALICE, CIPHER, PLACE), seal("y", BOB, CIPHER, PLACE)]
    assert subjects_in(str(tokens)) == {ALICE, BOB}
    assert subjects_in('{"text":"sealed.1.nobody"}') == set()
