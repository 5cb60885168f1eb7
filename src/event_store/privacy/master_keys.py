"""The master keys, which wrap the keys of subjects: an interface that a KMS can serve, and ours."""

import os
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from typing import NamedTuple, Protocol
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

KEY_BYTES = 32
NONCE_BYTES = 12


class Wrapped(NamedTuple):
    """A subject's key as it is stored; `master` names the master key that wraps it."""

    subject: UUID
    master: str
    key: bytes


class WrongMasterKey(Exception):  # noqa: N818 - reads as what was found
    """A key is wrapped by a master key that is not known here."""

    def __init__(self, master: str) -> None:
        self.master = master
        super().__init__(f"Keys in this database are wrapped by master key {master}.")


class MasterKeys(Protocol):
    """Wraps and unwraps keys, many at a time. It may block: event loops call it in threads."""

    @property
    def newest(self) -> str:
        """The name of the master key that wraps from now on."""

    def refresh(self) -> None:
        """Find out whether there is a newer master key."""

    def wrap(self, keys: Mapping[UUID, bytes]) -> list[Wrapped]:
        """Wrap the keys of some subjects by the newest master key."""

    def unwrap(self, wrapped: Sequence[Wrapped]) -> dict[UUID, bytes]:
        """Return the keys of some subjects; `WrongMasterKey` if it does not have their master."""


class LocalMasterKeys:
    """Master keys that this process has in memory."""

    def __init__(self, read: Callable[[], Sequence[str]]) -> None:
        """`read` gives the secrets, the newest first; asked again before anything is wrapped.

        Else a process that runs would go on wrapping by a key that a rotation has taken away.
        """
        self._read = read
        self._secrets: Sequence[str] = ()
        self._ciphers: dict[str, AESGCM] = {}
        self._newest = ""
        self.refresh()

    @property
    def newest(self) -> str:
        """The name of the newest secret's key."""
        return self._newest

    def refresh(self) -> None:
        """Read the secrets again."""
        secrets = tuple(self._read())
        if secrets == self._secrets:
            return
        self._secrets = secrets
        derived = [derived_key(secret) for secret in secrets]
        self._ciphers = {name_of(key): AESGCM(key) for key in derived}
        self._newest = name_of(derived[0])

    def wrap(self, keys: Mapping[UUID, bytes]) -> list[Wrapped]:
        """Encrypt each key for its subject."""
        self.refresh()
        cipher = self._ciphers[self._newest]
        return [
            Wrapped(subject, self._newest, nonce + cipher.encrypt(nonce, key, subject.bytes))
            for subject, key in keys.items()
            for nonce in [os.urandom(NONCE_BYTES)]
        ]

    def unwrap(self, wrapped: Sequence[Wrapped]) -> dict[UUID, bytes]:
        """Decrypt each key."""
        return {one.subject: self._unwrapped(one) for one in wrapped}

    def _unwrapped(self, one: Wrapped) -> bytes:
        if one.master not in self._ciphers:
            self.refresh()
        cipher = self._ciphers.get(one.master)
        if cipher is None:
            raise WrongMasterKey(one.master)
        nonce, sealed = one.key[:NONCE_BYTES], one.key[NONCE_BYTES:]
        try:
            return cipher.decrypt(nonce, sealed, one.subject.bytes)
        except InvalidTag as error:
            raise WrongMasterKey(one.master) from error


def derived_key(secret: str) -> bytes:
    """Return the AES key of a secret text (HKDF, RFC 5869)."""
    return HKDF(SHA256(), KEY_BYTES, salt=None, info=b"daybook master key").derive(secret.encode())


def name_of(key: bytes) -> str:
    """Return what a master key is called in the database: it tells nothing of the key."""
    return sha256(b"daybook master key name" + key).hexdigest()[:16]
