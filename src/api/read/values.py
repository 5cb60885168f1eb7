"""What a query parameter may hold: how each kind of value is read, refused and documented."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from litestar.openapi.spec import Schema
from litestar.openapi.spec.enums import OpenAPIFormat, OpenAPIType

LONGEST_TEXT = 254
CURSOR = re.compile(r"[A-Za-z0-9_-]{20,2000}")
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
WHOLE = re.compile(r"[0-9]{1,9}", re.ASCII)
IDENTITY = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
AMOUNT = re.compile(r"[0-9]{1,15}(\.[0-9]{1,4})?")
DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
INSTANT = re.compile(
    rf"{DAY.pattern}[Tt][0-9]{{2}}:[0-9]{{2}}:[0-9]{{2}}(\.[0-9]{{1,9}})?([Zz]|[+-][0-9]{{2}}:[0-9]{{2}})"
)
TIMES = "a time such as 2026-11-23T09:30:00Z (write + as %2B) or a day such as 2026-11-23"


@dataclass(frozen=True, eq=False)
class Value:
    """A kind of value: `read` raises `ValueError` for a text that is not of it."""

    description: str
    accepted: str
    read: Callable[[str], Any]
    schema: Schema


def text(description: str) -> Value:
    """Take any text, at most 254 characters without control characters."""

    def read(given: str) -> str:
        if not 0 < len(given) <= LONGEST_TEXT or CONTROL.search(given):
            raise ValueError
        return given

    accepted = f"1 to {LONGEST_TEXT} characters, no control characters"
    schema = Schema(
        type=OpenAPIType.STRING,
        min_length=1,
        max_length=LONGEST_TEXT,
        pattern=r"^[^\x00-\x1f\x7f-\x9f]*$",
    )
    return Value(description, accepted, read, schema)


def cursor(description: str) -> Value:
    """Take a cursor, which is looked into only by whoever knows of which list it is."""

    def read(given: str) -> str:
        if not CURSOR.fullmatch(given):
            raise ValueError
        return given

    schema = Schema(type=OpenAPIType.STRING, pattern=f"^{CURSOR.pattern}$")
    return Value(description, "a cursor of this list", read, schema)


def choice(description: str, options: Iterable[str], default: str | None = None) -> Value:
    """Take one of some words."""
    known = list(options)

    def read(given: str) -> str:
        if given not in known:
            raise ValueError
        return given

    schema = Schema(type=OpenAPIType.STRING, enum=known, default=default)
    return Value(description, f"one of {', '.join(known)}", read, schema)


def some_of(description: str, options: Iterable[str]) -> Value:
    """Take a comma list of words; it is read as a tuple, each word once."""
    known = list(options)

    def read(given: str) -> tuple[str, ...]:
        words = tuple(dict.fromkeys(given.split(",")))
        if not set(words) <= set(known):
            raise ValueError
        return words

    words = Schema(type=OpenAPIType.STRING, enum=known)
    schema = Schema(type=OpenAPIType.ARRAY, items=words, min_items=1)
    return Value(description, f"a comma list of {', '.join(known)}", read, schema)


def whole(description: str, least: int, most: int, default: int | None = None) -> Value:
    """Take a whole number within limits."""

    def read(given: str) -> int:
        if not WHOLE.fullmatch(given) or not least <= int(given) <= most:
            raise ValueError
        return int(given)

    schema = Schema(type=OpenAPIType.INTEGER, minimum=least, maximum=most, default=default)
    return Value(description, f"a whole number from {least} to {most}", read, schema)


def identity(description: str) -> Value:
    """Take the id of something."""

    def read(given: str) -> UUID:
        if not IDENTITY.fullmatch(given):
            raise ValueError
        return UUID(given)

    schema = Schema(type=OpenAPIType.STRING, format=OpenAPIFormat.UUID)
    return Value(description, "a UUID", read, schema)


def amount(description: str) -> Value:
    """Take a decimal that is not negative; it is compared without regard to the currency."""

    def read(given: str) -> Decimal:
        if not AMOUNT.fullmatch(given):
            raise ValueError
        return Decimal(given)

    schema = Schema(type=OpenAPIType.STRING, pattern=f"^{AMOUNT.pattern}$", examples=["25.00"])
    return Value(description, "a decimal such as 25.00, at most four decimals", read, schema)


def yes_or_no(description: str) -> Value:
    """Take true or false."""

    def read(given: str) -> bool:
        if given not in {"true", "false"}:
            raise ValueError
        return given == "true"

    return Value(description, "true or false", read, Schema(type=OpenAPIType.BOOLEAN))


def day(description: str) -> Value:
    """Take a day (UTC)."""
    schema = Schema(type=OpenAPIType.STRING, format=OpenAPIFormat.DATE)
    return Value(description, "a day such as 2026-11-23", day_of, schema)


def instant(description: str, *, day_counts: bool) -> Value:
    """Take a time, or a day: when it begins, or when it ends if the day itself counts (UTC)."""

    def read(given: str) -> datetime:
        try:
            if INSTANT.fullmatch(given):
                return datetime.fromisoformat(given.upper()).astimezone(UTC)
            begins = datetime.combine(day_of(given), datetime.min.time(), UTC)
            return begins + timedelta(days=1) if day_counts else begins
        except OverflowError:
            raise ValueError from None

    formats = (OpenAPIFormat.DATE_TIME, OpenAPIFormat.DATE)
    schema = Schema(any_of=[Schema(type=OpenAPIType.STRING, format=one) for one in formats])
    return Value(description, TIMES, read, schema)


def day_of(given: str) -> date:
    """Return the day that a text names."""
    if not DAY.fullmatch(given):
        raise ValueError
    return date.fromisoformat(given)
