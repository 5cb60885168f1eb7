"""How the values of settings are written: each is read, or refused with `ValueError`."""

import re
from base64 import b64decode
from collections.abc import Callable
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import msgspec

DURATION = "a duration up to 365d such as 90s, 30min, 2h or 1d"
UNITS = {"s": 1, "min": 60, "h": 3600, "d": 86400}
SHORTEST_SECRET = 32
AUDIT_KEY_BYTES = 32
FEWEST_CHARACTERS = 8
MOST_KEPT = 100_000_000
PLACEHOLDERS = ("changeme", "changethis", "yoursecret", "placeholder", "notsecret", "replaceme")


class RateLimit(msgspec.Struct, frozen=True):
    """So many requests within the window."""

    requests: int
    window: timedelta

    def __str__(self) -> str:
        return f"{self.requests}/{duration_text(self.window)}"


def one_of(*values: str) -> Callable[[str], str]:
    """Return what reads one of some words."""

    def read(text: str) -> str:
        if text not in values:
            raise ValueError(text)
        return text

    return read


def whole(lowest: int, highest: int) -> Callable[[str], int]:
    """Return what reads a whole number between two."""

    def read(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,9}", text) or not lowest <= int(text) <= highest:
            raise ValueError(text)
        return int(text)

    return read


def url(*schemes: str) -> Callable[[str], str]:
    """Return what reads an address of one of some schemes."""

    def read(text: str) -> str:
        parts = urlsplit(text)
        if parts.scheme not in schemes or text != text.strip() or parts.port == 0:
            raise ValueError(text)
        if not (parts.netloc or parts.query or (parts.scheme == "unix" and parts.path)):
            raise ValueError(text)
        return text

    return read


def database(text: str) -> str:
    """Read a Postgres address into the long form of the scheme: SQLAlchemy knows no other."""
    parts = urlsplit(url("postgresql", "postgres")(text))
    return urlunsplit(parts._replace(scheme="postgresql"))


def duration(text: str) -> timedelta:
    """Read a duration such as 90s."""
    match = re.fullmatch(r"([0-9]{1,8})(s|min|h|d)", text)
    found = timedelta(seconds=int(match[1]) * UNITS[match[2]]) if match else timedelta()
    if not timedelta() < found <= timedelta(days=365):
        raise ValueError(text)
    return found


def duration_text(given: timedelta) -> str:
    """Write a duration as `duration` reads it."""
    seconds = int(given.total_seconds())
    unit = next(name for name in ("d", "h", "min", "s") if seconds % UNITS[name] == 0)
    return f"{seconds // UNITS[unit]}{unit}"


def rate(text: str) -> RateLimit | None:
    """Read a limit such as 100/15min; `off` is none."""
    if text == "off":
        return None
    requests, _, window = text.partition("/")
    return RateLimit(whole(1, 1_000_000)(requests), duration(window))


def networks(text: str) -> tuple[str, ...]:
    """Read addresses and networks with commas between."""
    return tuple(str(ip_network(one.strip(), strict=False)) for one in text.split(","))


def kept(text: str) -> int | None:
    """Read how many integration events are kept; `off` is none."""
    return None if text == "off" else whole(1_000, MOST_KEPT)(text)


def origins(text: str) -> tuple[str, ...]:
    """Read origins with commas between."""
    found = tuple(one.strip().lower() for one in text.split(","))
    if not all(re.fullmatch(r"https?://[a-z0-9.-]+(:[0-9]{1,5})?", one) for one in found):
        raise ValueError(text)
    return found


def strong_secret(text: str) -> str:
    """Return a secret; `ValueError` if it is short or could be guessed."""
    letters = re.sub(r"[^a-z]", "", text.casefold())
    if (
        len(text.encode()) < SHORTEST_SECRET
        or len(set(text)) < FEWEST_CHARACTERS
        or any(word in letters for word in PLACEHOLDERS)
    ):
        raise ValueError
    return text


def secrets(text: str) -> str:
    """Read secrets with blanks between."""
    return " ".join(strong_secret(one) for one in text.split()) or strong_secret("")


def audit_keys(text: str) -> tuple[bytes, ...]:
    """Read private keys in base64 with commas between."""
    found = tuple(b64decode(one, validate=True) for one in text.split(","))
    if any(len(key) != AUDIT_KEY_BYTES or len(set(key)) < FEWEST_CHARACTERS for key in found):
        raise ValueError
    return found


def matching(pattern: str) -> Callable[[str], str]:
    """Return what reads a text of a pattern."""

    def read(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ValueError(text)
        return text

    return read


def path(text: str) -> Path:
    """Read a path; a tilde is the home folder."""
    return Path(text).expanduser()
