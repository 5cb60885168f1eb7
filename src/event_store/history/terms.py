"""What an event can be asked by: its terms, each a name and a value, and their places in the index.

A value inside the event is named by its path, such as `data.lines.sku`; lists are not counted.
"""

from collections.abc import Iterator
from hashlib import blake2b
from typing import Any

import msgspec

BUCKETS = 1 << 14
FACTS = (
    "stream_type",
    "name",
    "actor_id",
    "actor_role",
    "request_id",
    "correlation_id",
    "causation_id",
    "command",
)
LONGEST_VALUE = 200
"""Longer values are found by their beginning, and then compared whole."""

DATA = msgspec.json.Decoder()


def terms_of(facts: dict[str, str | None], stream_id: str, data: str) -> set[str]:
    """Return the terms of an event; `facts` are those of its columns that are terms."""
    found = {term(name, value) for name, value in facts.items() if value is not None}
    subjects: set[str] = set()
    if facts["stream_type"] == "user":
        subjects.add(stream_id)
    for path, value in values(DATA.decode(data), "data"):
        found.add(term(path, value))
        if path in {"data.user_id", "data.sale.user_id"}:
            subjects.add(value)
    found.update(term("subject", value) for value in subjects)
    return found


def values(found: Any, path: str) -> Iterator[tuple[str, str]]:
    """Yield every value inside of JSON with its path, as text."""
    if isinstance(found, dict):
        for name, inner in found.items():
            yield from values(inner, f"{path}.{name}")
    elif isinstance(found, list):
        for inner in found:
            yield from values(inner, path)
    else:
        yield path, as_text(found)


def as_text(value: object) -> str:
    """Return how a value is asked for; a number in the form that equal numbers share."""
    match value:
        case str():
            return number_or_text(value)
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case _:
            return number_or_text(str(value))


def number_or_text(text: str) -> str:
    """Return one text for all ways to write a number, and any other text as it is."""
    if text[:1] not in "-0123456789" or len(text) > 20 or "-" in text[1:] or "_" in text:  # noqa: PLR2004 - longer ones are ids
        return text
    try:
        return repr(float(text))
    except ValueError:
        return text


def term(name: str, value: str) -> str:
    """Return the term of a name and a value."""
    return f"{name}={value[:LONGEST_VALUE]}"


def buckets_of(one: str) -> tuple[int, int]:
    """Return the two places of a term in the index; an event that has it is in both."""
    digest = int.from_bytes(blake2b(one.encode(errors="replace"), digest_size=4).digest(), "little")
    return digest & (BUCKETS - 1), digest >> 16 & (BUCKETS - 1)
