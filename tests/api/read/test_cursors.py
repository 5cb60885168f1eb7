"""Cursors: sealed for one list, telling nothing, good under every secret that is known."""

from base64 import urlsafe_b64decode
from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

import pytest

from api.errors import MalformedRequest
from api.read.cursors import Cursors, Place

OLD, NEW = b"1" * 32, b"2" * 32
VALUES = ("ada@example.com", Decimal("1.50"), datetime(2026, 1, 2, 3, 4, 5, 6, UTC), UUID(int=7), 8)
KINDS = (str, Decimal, datetime, UUID, int)
PLACE = Place(VALUES, backwards=True)


def test_a_place_comes_back_as_it_was() -> None:
    cursors = Cursors(lambda: [NEW])
    assert cursors.open(b"list", cursors.seal(b"list", PLACE), KINDS) == PLACE


def test_a_cursor_shows_nothing_of_its_place() -> None:
    cursor = Cursors(lambda: [NEW]).seal(b"list", PLACE)
    assert b"ada" not in urlsafe_b64decode(cursor + "==")


def test_a_cursor_is_good_after_a_rotation_until_its_secret_is_forgotten() -> None:
    cursor = Cursors(lambda: [OLD]).seal(b"list", PLACE)
    assert Cursors(lambda: [NEW, OLD]).open(b"list", cursor, KINDS) == PLACE
    with pytest.raises(MalformedRequest):
        Cursors(lambda: [NEW]).open(b"list", cursor, KINDS)


@pytest.mark.parametrize("changed", ["", "A", "A" * 20, "A" * 2_000, "é" * 30, "=" * 40, "%00"])
def test_what_was_not_sealed_is_refused(changed: str) -> None:
    with pytest.raises(MalformedRequest):
        Cursors(lambda: [NEW]).open(b"list", changed, KINDS)


def test_no_character_can_be_changed() -> None:
    cursors = Cursors(lambda: [NEW])
    cursor = cursors.seal(b"list", PLACE)
    for number, letter in enumerate(cursor[:-1]):  # the last one has bits that mean nothing
        other = "A" if letter != "A" else "B"
        with pytest.raises(MalformedRequest):
            cursors.open(b"list", f"{cursor[:number]}{other}{cursor[number + 1 :]}", KINDS)
    with pytest.raises(MalformedRequest):
        cursors.open(b"another list", cursor, KINDS)
