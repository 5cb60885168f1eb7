"""The text that stands in the log in the place of a personal field, made and opened.

AES-256-GCM under the subject's key, a fresh nonce each time. The place (stream, version, field) is
authenticated with it, so that a text that is moved elsewhere does not open.
"""

import os
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

NONCE_BYTES = 12
# Written so for ever: the version of the form, the subject, nonce and ciphertext in base64url.
TOKEN = re.compile(r"sealed\.1\.([0-9a-f]{32})\.([A-Za-z0-9_-]+)")
SUBJECT = re.compile(r"sealed\.1\.([0-9a-f]{32})\.[A-Za-z0-9_-]")  # of a token, its end unread


class Place(NamedTuple):
    """Where a text stands: it opens there and nowhere else."""

    stream_id: UUID
    version: int
    field: str


class Damaged(Exception):  # noqa: N818 - reads as what was found
    """A text does not open with its subject's key at its place: it was altered or moved."""


def seal_fields(
    texts: Mapping[str, str], subject: UUID, cipher: AESGCM, stream_id: UUID, version: int
) -> dict[str, str]:
    """Encrypt the texts of some fields of an event."""
    head = f"sealed.1.{subject.hex}."
    found = {}
    for field, text in texts.items():
        nonce = os.urandom(NONCE_BYTES)
        place = authenticated(stream_id, version, field)
        sealed = cipher.encrypt(nonce, text.encode(), place)
        found[field] = head + urlsafe_b64encode(nonce + sealed).rstrip(b"=").decode()
    return found


def open_sealed(coded: str, cipher: AESGCM, place: Place) -> str:
    """Decrypt the last part of a token; `Damaged` if it is not what was sealed for this place."""
    try:
        sealed = urlsafe_b64decode(coded + "=" * (-len(coded) % 4))
        nonce, rest = sealed[:NONCE_BYTES], sealed[NONCE_BYTES:]
        return cipher.decrypt(nonce, rest, authenticated(*place)).decode()
    except (InvalidTag, ValueError) as error:
        message = f"{place.field} of {place.stream_id} version {place.version} does not open"
        raise Damaged(message) from error


def authenticated(stream_id: UUID, version: int, field: str) -> bytes:
    """Return the bytes that stand for a place."""
    return stream_id.bytes + f":{version}:{field}".encode()


def subjects_in(text: str) -> set[UUID]:
    """Return the subjects of all tokens in a text."""
    return {subject_named(digits) for digits in set(SUBJECT.findall(text))}


@lru_cache(maxsize=4_096)
def subject_named(digits: str) -> UUID:
    """Return a subject by the digits of its id, which come again and again."""
    return UUID(hex=digits)
