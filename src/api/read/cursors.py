"""Cursors: a place in a list, sealed, so that it holds for that list and cannot be made up.

What is sealed is not secret: the client has seen the row that it points to.
"""

import binascii
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import msgspec

from api.errors import MalformedRequest
from domain.refusal import Detail

SEAL_BYTES = 16


class Place(NamedTuple):
    """Where to go on: the order's values of a row, and whether to go towards the beginning."""

    values: tuple[Any, ...]
    backwards: bool


class Cursors:
    """Seals places with the newest of some secrets, and opens what was sealed with any of them."""

    def __init__(self, secrets: Callable[[], list[bytes]]) -> None:
        self._secrets = secrets

    def seal(self, listed: bytes, place: Place) -> str:
        """Return the cursor of a place; `listed` says of which list, filters and order."""
        content = msgspec.json.encode([place.backwards, *place.values])
        sealed = sealing(self._secrets()[0], listed, content) + content
        return urlsafe_b64encode(sealed).rstrip(b"=").decode()

    def open(self, listed: bytes, cursor: str, kinds: Sequence[Any]) -> Place:
        """Return the place of a cursor, its values of these types; `MalformedRequest`."""
        try:
            sealed = urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4))
            seal, content = sealed[:SEAL_BYTES], sealed[SEAL_BYTES:]
            if any(
                hmac.compare_digest(seal, sealing(secret, listed, content))
                for secret in self._secrets()
            ):
                backwards, *values = msgspec.json.decode(content)
                made = zip(values, kinds, strict=True)
                return Place(tuple(msgspec.convert(*one, strict=False) for one in made), backwards)
        except (binascii.Error, UnicodeEncodeError):
            pass
        message = "This must be a cursor of this list, with the same filters and order."
        raise MalformedRequest(None, Detail("cursor", message))


def sealing(secret: bytes, listed: bytes, content: bytes) -> bytes:
    """Return the seal of a place in a list."""
    return hmac.digest(secret, listed + b"\0" + content, "sha256")[:SEAL_BYTES]
