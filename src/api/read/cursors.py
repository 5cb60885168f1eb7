"""Cursors: a place in a list, sealed: it holds for that list, tells nothing and cannot be made up.

The place may be an e-mail address or a name, and cursors end up in logs of proxies: so AES-SIV
(RFC 5297), which encrypts and signs, and whose cursors of one place are alike.
"""

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from api.errors import MalformedRequest
from domain.refusal import Detail


class Place(NamedTuple):
    """Where to go on: the order's values of a row, and whether to go towards the beginning."""

    values: tuple[Any, ...]
    backwards: bool


class Cursors:
    """Seals places with the newest of some secrets, and opens what was sealed with any of them."""

    def __init__(self, secrets: Callable[[], list[bytes]]) -> None:
        """`secrets` gives keys of 32 bytes, the newest first."""
        self._secrets = secrets

    def seal(self, listed: bytes, place: Place) -> str:
        """Return the cursor of a place; `listed` says of which list, filters and order."""
        content = msgspec.json.encode([place.backwards, *place.values])
        sealed = AESSIV(self._secrets()[0]).encrypt(content, [listed])
        return urlsafe_b64encode(sealed).rstrip(b"=").decode()

    def open(self, listed: bytes, cursor: str, kinds: Sequence[Any]) -> Place:
        """Return the place of a cursor, its values of these types; `MalformedRequest`."""
        with suppress(binascii.Error, UnicodeEncodeError):
            sealed = urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4))
            for secret in self._secrets():
                with suppress(InvalidTag):
                    return placed(AESSIV(secret).decrypt(sealed, [listed]), kinds)
        message = "This must be a cursor of this list, with the same filters and order."
        raise MalformedRequest(None, Detail("cursor", message))


def placed(content: bytes, kinds: Sequence[Any]) -> Place:
    """Return the place that was sealed."""
    backwards, *values = msgspec.json.decode(content)
    made = zip(values, kinds, strict=True)
    return Place(tuple(msgspec.convert(*one, strict=False) for one in made), backwards)
