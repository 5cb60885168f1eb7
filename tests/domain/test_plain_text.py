"""Text is trimmed, in one Unicode form, and holds nothing that a log line could choke on."""

import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.plain_text import checked_text
from domain.refusal import Invalid


def test_text_is_trimmed_and_composed() -> None:
    assert checked_text("name", "  Cafe\u0301 \n") == "Caf\u00e9"


@pytest.mark.parametrize("text", ["a\x00b", "a\x1bb", "a\x7fb", "a\x85b", "a\ud800b", "a\nb"])
def test_control_characters_and_lone_surrogates_are_refused(text: str) -> None:
    with pytest.raises(Invalid):
        checked_text("name", text)


def test_a_note_may_have_lines_and_tabs_but_no_other_control() -> None:
    assert checked_text("text", "one\n\ttwo", lines=True) == "one\n\ttwo"
    with pytest.raises(Invalid):
        checked_text("text", "one\x00two", lines=True)


def test_text_that_is_blank_or_too_long_is_refused() -> None:
    assert checked_text("name", "x" * 200) == "x" * 200
    for text in ("", " \t ", "x" * 201):
        with pytest.raises(Invalid) as refused:
            checked_text("name", text)
        assert refused.value.details[0].field == "name"


def test_what_is_far_too_long_is_not_composed() -> None:
    """It would take seconds: the square of how many marks stand in a row."""
    began = time.thread_time()  # what others do on the machine does not count
    with pytest.raises(Invalid, match="At most 200 characters"):
        checked_text("name", "a" + "\u0300\u0323" * 40_000)
    assert time.thread_time() - began < 0.5


def test_what_is_short_once_it_is_composed_is_kept() -> None:
    letter = "\u1f82"
    assert len(unicodedata.normalize("NFD", letter)) == 4
    assert checked_text("name", unicodedata.normalize("NFD", letter * 200)) == letter * 200


@given(st.text())
def test_what_is_kept_can_be_stored_and_stays_the_same(text: str) -> None:
    try:
        kept = checked_text("name", text, longest=1_000)
    except Invalid:
        return
    assert kept.encode()
    assert "\x00" not in kept
    assert unicodedata.is_normalized("NFC", kept)
    assert checked_text("name", kept, longest=1_000) == kept
