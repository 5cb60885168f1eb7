"""Signed heads: their text, their signatures, and that nothing else is taken for one."""

from base64 import b64decode
from datetime import UTC, datetime

import pytest

from event_store.evidence.notes import (
    BadNote,
    Head,
    PublicKey,
    Signer,
    head_of,
    opened,
    signed,
)

ORIGIN = "daybook/0123456789abcdef"
HEAD = Head(ORIGIN, 42, b"r" * 32, datetime(2026, 11, 25, 9, 30, tzinfo=UTC))
OLD, NEW = Signer(ORIGIN, b"o" * 32), Signer(ORIGIN, b"n" * 32)

# The example of the package golang.org/x/mod/sumdb/note.
GO_KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
GO_NOTE = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
    "\n"
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb"
    "6KE6RyyBwJnAM=\n"
)


def test_a_head_is_read_as_it_was_signed() -> None:
    assert head_of(signed(HEAD.text, [OLD]), [OLD.public]) == HEAD


def test_notes_of_others_in_this_format_are_understood() -> None:
    assert opened(GO_NOTE, [PublicKey.parse(GO_KEY)]).startswith("If you think cryptography")


def test_while_keys_are_rotated_either_key_is_enough() -> None:
    note = signed(HEAD.text, [NEW, OLD])
    for key in (OLD, NEW):
        assert head_of(note, [key.public]) == HEAD


@pytest.mark.parametrize(
    "wrong",
    [
        signed(HEAD.text, [NEW]),
        signed(HEAD.text, [OLD]).replace("42", "43"),
        signed(HEAD.text, [OLD]).replace("2026", "2027"),
        signed(HEAD.text, []),
        HEAD.text,
        "",
        signed(HEAD.text, [OLD]) + "— x\n\n",
        signed(HEAD.text, [Signer("daybook/another", b"o" * 32)]),
        signed("hello\n", [OLD]),
        signed(HEAD.text + "more\n", [OLD]),
    ],
)
def test_nothing_else_is_a_head(wrong: str) -> None:
    with pytest.raises(BadNote):
        head_of(wrong, [OLD.public])


def test_a_public_key_is_read_as_it_was_published() -> None:
    assert PublicKey.parse(str(OLD.public)) == OLD.public
    assert len(b64decode(str(OLD.public).rpartition("+")[2])) == 33
    for wrong in ("", "a+b+c", str(OLD.public)[:-4], str(OLD.public).replace("daybook", "other")):
        with pytest.raises(BadNote):
            PublicKey.parse(wrong)
