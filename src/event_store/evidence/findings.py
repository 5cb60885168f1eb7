"""What a verification may find wrong, and what it says in the end."""

from typing import Literal

import msgspec

Kind = Literal["altered", "missing", "inserted", "swapped", "rewritten", "tree", "head", "access"]


class Finding(msgspec.Struct, frozen=True, rename="camel"):
    """The first thing that is wrong, with a sentence for people.

    `position` is the first event concerned (of an access: its number); `other` the one it was
    swapped with, or the last one of a stretch of which only that much is known.
    """

    kind: Kind
    position: int
    sentence: str
    other: int | None = None


class Verified(msgspec.Struct, frozen=True, rename="camel"):
    """What was verified. `pending` events are too new to be in the tree; `note`: the last head.

    `accesses`: how many records of who asked what were verified with it.
    """

    first: int
    last: int
    events: int
    heads: int
    pending: int
    note: str | None
    finding: Finding | None
    accesses: int = 0


def altered(position: int) -> Finding:
    """Say that an event is not the one that was recorded."""
    return Finding("altered", position, f"The event at position {position} was altered.")


def missing(position: int) -> Finding:
    """Say that an event is not there any more."""
    return Finding("missing", position, f"The event at position {position} is missing.")


def inserted(position: int) -> Finding:
    """Say that an event is there that never was recorded."""
    return Finding("inserted", position, f"The event at position {position} was inserted.")


def swapped(position: int, other: int) -> Finding:
    """Say that two events have changed places."""
    sentence = f"The events at positions {position} and {other} were swapped."
    return Finding("swapped", position, sentence, other)


def rewritten(first: int, last: int) -> Finding:
    """Say that events and tree agree with each other, and not with what was signed."""
    sentence = (
        f"Events at positions {first} to {last} are not those that were signed: they were"
        " rewritten, and the stored tree with them."
    )
    return Finding("rewritten", first, sentence, last)


def tree_damaged(first: int, last: int) -> Finding:
    """Say that only the stored hashes are wrong."""
    sentence = (
        f"The events at positions {first} to {last} are those that were signed; the stored tree"
        " over them was altered."
    )
    return Finding("tree", first, sentence, last)


def head_wrong(size: int, reason: str) -> Finding:
    """Say that a stored head is none."""
    return Finding("head", size, f"The head of the log at {size} events does not hold: {reason}")
