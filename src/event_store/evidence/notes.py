"""Signed tree heads as text: checkpoints and signed notes in the formats of C2SP (c2sp.org).

A checkpoint is three lines, the log's origin, its size and its root in base64, and here a fourth
with the time. A note is a text with signatures (Ed25519) below it, any number of them.
"""

import re
from base64 import b64decode, b64encode
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from typing import Self

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

ED25519 = b"\1"
SEED_BYTES = 32
CHECKPOINT = re.compile(
    r"(?P<origin>[^\n+ ]+)\n(?P<size>0|[1-9][0-9]{0,17})\n(?P<root>[A-Za-z0-9+/]{43}=)\n"
    r"(?P<signed_at>[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z)\n"
)
SIGNATURE = re.compile(r"— (?P<name>[^\n+ ]+) (?P<signature>[A-Za-z0-9+/]+={0,2})\n")


class BadNote(Exception):  # noqa: N818 - reads as what was found
    """A text is no signed head, or nobody who is trusted has signed it."""


class Head(msgspec.Struct, frozen=True):
    """What a log was at a moment: so many events, under this root."""

    origin: str
    size: int
    root: bytes
    signed_at: datetime

    @property
    def text(self) -> str:
        """Return what is signed."""
        root, moment = b64encode(self.root).decode(), f"{self.signed_at:%Y-%m-%dT%H:%M:%SZ}"
        return f"{self.origin}\n{self.size}\n{root}\n{moment}\n"


class PublicKey(msgspec.Struct, frozen=True):
    """A key that signatures are checked with; `name` is the origin of its log."""

    name: str
    raw: bytes

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the form that is published: name+hash+key; `BadNote` if it is none."""
        name, _, rest = text.strip().partition("+")
        digest, _, encoded = rest.partition("+")
        try:
            key = b64decode(encoded, validate=True)
        except ValueError:
            key = b""
        found = cls(name, key[1:])
        if key[:1] != ED25519 or len(found.raw) != SEED_BYTES or found.id.hex() != digest:
            raise BadNote(f"{text.strip()[:100]!r} is no public key of a log.")
        return found

    @property
    def id(self) -> bytes:
        """Return the four bytes that a signature names its key by."""
        return sha256(self.name.encode() + b"\n" + ED25519 + self.raw).digest()[:4]

    def __str__(self) -> str:
        return f"{self.name}+{self.id.hex()}+{b64encode(ED25519 + self.raw).decode()}"


class Signer:
    """A private key of a log."""

    def __init__(self, origin: str, seed: bytes) -> None:
        """`seed` is the private key, 32 random bytes."""
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        self.public = PublicKey(origin, self._key.public_key().public_bytes_raw())

    def line(self, text: str) -> str:
        """Return the signature of a text, as a line of a note."""
        signature = b64encode(self.public.id + self._key.sign(text.encode())).decode()
        return f"— {self.public.name} {signature}\n"


def signed(text: str, signers: Iterable[Signer]) -> str:
    """Return a text with the signatures of all keys below it."""
    return text + "\n" + "".join(signer.line(text) for signer in signers)


def opened(note: str, trusted: Sequence[PublicKey]) -> str:
    """Return the text of a note that one of the keys has signed; `BadNote` if none has."""
    text, blank, lines = note.rpartition("\n\n")
    if not blank or not lines:
        raise BadNote("It has no signature.")
    text += "\n"
    if any(signs(key, text, line) for line in lines.splitlines(keepends=True) for key in trusted):
        return text
    raise BadNote("No trusted key has signed it.")


def signs(key: PublicKey, text: str, line: str) -> bool:
    """Tell whether a line is a key's signature of a text."""
    found = SIGNATURE.fullmatch(line)
    if found is None or found["name"] != key.name:
        return False
    try:
        signature = b64decode(found["signature"], validate=True)
        if signature[:4] != key.id:
            return False
        Ed25519PublicKey.from_public_bytes(key.raw).verify(signature[4:], text.encode())
    except (ValueError, InvalidSignature):
        return False
    return True


def head_of(note: str, trusted: Sequence[PublicKey]) -> Head:
    """Return the head that a trusted key has signed; `BadNote` if it is none."""
    return parsed(opened(note, trusted))


def parsed(text: str) -> Head:
    """Return the head that a text states; `BadNote` if it states none."""
    found = CHECKPOINT.fullmatch(text)
    if found is None:
        raise BadNote("It is no head of a log.")
    moment = datetime.fromisoformat(found["signed_at"]).astimezone(UTC)
    root = b64decode(found["root"])
    return Head(found["origin"], int(found["size"]), root, moment)
