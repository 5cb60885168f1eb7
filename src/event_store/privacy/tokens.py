"""The text that stands in the log in the place of a personal field, made and opened.

AES-256-GCM under the subject's key, a fresh nonce each time. The place (stream, version, field) is
authenticated with it, so that a text that is moved elsewhere does not open.
"""

import os
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import NamedTuple
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

NONCE_BYTES = 12
# Written so for ever: the version of the form, the subject, nonce and ciphertext in base64url.
TOKEN = re.compile(r"sealed\.1\.([0-9a-f]{32})\.([A-Za-z0-9_-]+)")


class Place(NamedTuple):
    """Where a text stands: it opens there and nowhere else."""

    stream_id: UUID
    version: int
    field: str


class Damaged(Exception):  # noqa: N818 - reads as what was found
    """A text does not open with its subject's key at its place: it was altered or moved."""


def seal(text: str, subject: UUID, cipher: AESGCM, place: Place) -> str:
    """Encrypt a text."""
    nonce = os.urandom(NONCE_BYTES)
    sealed = cipher.encrypt(nonce, text.encode(), authenticated(place))
    coded = urlsafe_b64encode(nonce + sealed).rstrip(b"=").decode()
    return f"sealed.1.{subject.hex}.{coded}"


def open_sealed(coded: str, cipher: AESGCM, place: Place) -> str:
    """Decrypt the last part of a token; `Damaged` if it is not what was sealed for this place."""
    try:
        sealed = urlsafe_b64decode(coded + "=" * (-len(coded) % 4))
        nonce, rest = sealed[:NONCE_BYTES], sealed[NONCE_BYTES:]
        return cipher.decrypt(nonce, rest, authenticated(place)).decode()
    except (InvalidTag, ValueError) as error:
        message = f"{place.field} of {place.stream_id} version {place.version} does not open"
        raise Damaged(message) from error


def authenticated(place: Place) -> bytes:
    """Return the bytes that stand for a place."""
    return b"%b:%d:%b" % (place.stream_id.bytes, place.version, place.field.encode())


def subjects_in(text: str) -> set[UUID]:
    """Return the subjects of all tokens in a text."""
    return {UUID(hex=subject) for subject, _ in TOKEN.findall(text)}
