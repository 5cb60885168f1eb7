"""What an event can be asked by: its terms, each a name and a value, and their places in the index.

A value inside the event is named by its path, such as `data.lines.sku`; lists are not counted.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, cast
from zlib import crc32

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
SUBJECTS = frozenset({"data.user_id", "data.sale.user_id"})

Places = list[int]
"""Where the events of a block are in it, rising; one may be there several times."""


class Values(dict[str, "Values"]):
    """The values at a path of some events, each with the places of those; and below, by name."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.places: defaultdict[str, Places] = defaultdict(list)
        super().__init__()

    def __missing__(self, name: str) -> "Values":
        child = self[name] = Values(f"{self.path}.{name}")
        return child

    def add(self, found: Any, place: int) -> None:
        """Enter every value inside of JSON that an event has here; lists are passed through."""
        if isinstance(found, str):
            self.places[found].append(place)
        elif isinstance(found, dict):
            for name, inner in found.items():
                if isinstance(inner, str):  # as most are
                    self[name].places[inner].append(place)
                else:
                    self[name].add(inner, place)
        elif isinstance(found, list):
            for inner in found:
                self.add(inner, place)
        else:
            self.places[as_text(found)].append(place)

    def each(self) -> Iterator["Values"]:
        """Yield this path and all below."""
        yield self
        for child in self.values():
            yield from child.each()


def places_of(rows: Sequence[tuple[Any, ...]]) -> dict[int, Places]:
    """Return the places of a block's events by bucket, in no order and some of them again.

    A row has the `FACTS`, the stream and the data, all as text. A value is hashed once for all
    events that have it.
    """
    *columns, streams, texts = zip(*rows, strict=True)
    found: dict[int, Places] = defaultdict(list)
    for name, column in zip(FACTS, columns, strict=True):
        enter(found, name, by_value(column).items())
    about = [stream if kind == "user" else None for kind, stream in zip(columns[0], streams)]  # noqa: B905 - of one length
    enter(found, "subject", by_value(about).items())
    data = Values("data")
    for place, text in enumerate(texts):
        data.add(DATA.decode(text), place)
    for one in data.each():
        enter(found, one.path, [(number_or_text(text), of) for text, of in one.places.items()])
        if one.path in SUBJECTS:
            enter(found, "subject", one.places.items())
    return found


def by_value(column: Iterable[str | None]) -> dict[str, Places]:
    """Return the places of each value of a column; null is none."""
    found: defaultdict[str | None, Places] = defaultdict(list)
    for place, value in enumerate(column):
        found[value].append(place)
    found.pop(None, None)
    return cast("dict[str, Places]", found)


def enter(found: dict[int, Places], name: str, values: Iterable[tuple[str, Places]]) -> None:
    """Enter the values of one name into their buckets."""
    seed = crc32(f"{name}=".encode())
    for value, places in values:
        for bucket in buckets(crc32(text_of(value), seed)):
            found[bucket] += places


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


def text_of(value: str) -> bytes:
    """Return what is hashed of a value."""
    return value[:LONGEST_VALUE].encode(errors="replace")


def buckets_of(name: str, value: str) -> tuple[int, int]:
    """Return the two places of a term in the index; an event that has it is in both."""
    return buckets(crc32(text_of(value), crc32(f"{name}=".encode())))


def buckets(code: int) -> tuple[int, int]:
    """Return the two places of a hash."""
    return code & (BUCKETS - 1), code >> 16 & (BUCKETS - 1)
