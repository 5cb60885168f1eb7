"""The keys of subjects: made, wrapped and stored once, remembered by a process for a while."""

import asyncio
import hmac
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple
from uuid import UUID

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from psycopg import AsyncConnection, Connection
from psycopg.rows import TupleRow

from event_store.privacy.master_keys import KEY_BYTES, MasterKeys, Wrapped

# Whose key hashes what has to be found without being readable; version 8, ends in "lookup".
LOOKUP = UUID("00000000-0000-8000-8000-6c6f6f6b7570")

FORGETTING = "user.forgotten"  # the event that destroys a key

MOST_KEYS = 20_000
# A key that was destroyed elsewhere is gone from every process's memory after so long.
REMEMBERED_SECONDS = 30.0

FETCH = "select subject_id, master, wrapped from subject_keys where subject_id = any(%b::uuid[])"

# Those that are new and those that were there, in one round trip; who is in neither was made by
# another meanwhile. In one order, so that two processes cannot block each other.
MAKE = """
with wanted (subject_id, master, wrapped) as (
    select * from unnest(%b::uuid[], %b::text[], %b::bytea[])
), made as (
    insert into subject_keys (subject_id, master, wrapped)
    select subject_id, master, wrapped from wanted order by 1
        on conflict (subject_id) do nothing
    returning subject_id
)
select subject_id, true, null::text, null::bytea from made
union all
select subject_id, false, k.master, k.wrapped from wanted join subject_keys k using (subject_id)
"""


class Key(NamedTuple):
    """A subject's key."""

    secret: bytes
    cipher: AESGCM


def key_of(secret: bytes) -> Key:
    """Return a key of its bytes."""
    return Key(secret, AESGCM(secret))


Keys = Mapping[UUID, Key | None]
"""Keys by subject, None for those who are forgotten; who never had a key is not in it."""


class NoMasterKey(Exception):  # noqa: N818 - reads as what was found
    """Something personal was to be stored or read by a process that was given no master key."""

    def __init__(self) -> None:
        super().__init__("There is no master key here, and personal data needs one.")


class Keyring:
    """The keys that a process knows: for any thread, and for any event loop."""

    def __init__(self, master: MasterKeys | None) -> None:
        """Without a master key it is good for whatever is not personal."""
        self._master = master
        self._lock = threading.Lock()
        self._known: OrderedDict[UUID, tuple[float, Key | None]] = OrderedDict()
        self.lookup: Key | None = None

    @property
    def master(self) -> MasterKeys:
        """What wraps the keys."""
        if self._master is None:
            raise NoMasterKey
        return self._master

    def known(self, subjects: Iterable[UUID]) -> dict[UUID, Key | None]:
        """Return what is remembered of some subjects."""
        oldest = time.monotonic() - REMEMBERED_SECONDS
        found: dict[UUID, Key | None] = {}
        with self._lock:
            for subject in subjects:
                remembered = self._known.get(subject)
                if remembered is not None and remembered[0] > oldest:
                    self._known.move_to_end(subject)
                    found[subject] = remembered[1]
        return found

    def forget(self, subject: UUID) -> None:
        """Forget a subject's key, which was destroyed."""
        with self._lock:
            self._known.pop(subject, None)

    def notice(self, events: Iterable[tuple[str, UUID]]) -> None:
        """Forget the keys that were destroyed by events that were read, by name and stream."""
        for name, stream_id in events:
            if name == FORGETTING:
                self.forget(stream_id)

    def fetch(self, connection: Connection[TupleRow], subjects: Iterable[UUID]) -> Keys:
        """Return the keys of some subjects, with a query for those that are not remembered."""
        wanted = set(subjects)
        if not wanted:
            return {}
        found = self.known(wanted)
        if missing := wanted - found.keys():
            rows = connection.execute(FETCH, [list(missing)], prepare=True).fetchall()
            found |= self._learned(rows)
        return found

    async def fetch_async(
        self, connection: AsyncConnection[TupleRow], subjects: Iterable[UUID]
    ) -> Keys:
        """Return the keys of some subjects, with a query for those that are not remembered."""
        wanted = set(subjects)
        if not wanted:
            return {}
        found = self.known(wanted)
        if missing := wanted - found.keys():
            cursor = await connection.execute(FETCH, [list(missing)], prepare=True)
            found |= await asyncio.to_thread(self._learned, await cursor.fetchall())
        return found

    async def make_async(
        self, connection: AsyncConnection[TupleRow], subjects: Iterable[UUID]
    ) -> Keys:
        """Return the keys of some subjects; who has none, and is not forgotten, gets one.

        It is on disk on return: no event can come to be whose key is lost.
        """
        wanted = set(subjects)
        found = self.known(wanted)
        if missing := wanted - found.keys():
            new = {subject: os.urandom(KEY_BYTES) for subject in missing}
            wrapped = await asyncio.to_thread(self.master.wrap, new)
            columns = [list(column) for column in zip(*wrapped, strict=True)]
            rows = await (await connection.execute(MAKE, columns, prepare=True)).fetchall()
            found |= self._remembered({row[0]: key_of(new[row[0]]) for row in rows if row[1]})
            if stored := [(row[0], *row[2:]) for row in rows if not row[1]]:
                found |= await asyncio.to_thread(self._learned, stored)
            if others := wanted - found.keys():  # another was faster
                found |= await self.fetch_async(connection, others)
        return found

    async def lookup_async(self, connection: AsyncConnection[TupleRow]) -> Key:
        """Return the key that hashes what has to be found, the same for ever; it is made once."""
        if self.lookup is None:
            self.lookup = (await self.make_async(connection, [LOOKUP]))[LOOKUP]
        assert self.lookup is not None  # noqa: S101 - nobody forgets this one
        return self.lookup

    def _learned(self, rows: list[tuple[Any, ...]]) -> dict[UUID, Key | None]:
        wrapped = [Wrapped(*row) for row in rows if row[2] is not None]
        secrets = self.master.unwrap(wrapped) if wrapped else {}
        found: dict[UUID, Key | None] = {row[0]: None for row in rows}
        return self._remembered(
            found | {subject: key_of(secret) for subject, secret in secrets.items()}
        )

    def _remembered(self, found: dict[UUID, Key | None]) -> dict[UUID, Key | None]:
        now = time.monotonic()
        with self._lock:
            for subject, key in found.items():
                self._known[subject] = (now, key)
                self._known.move_to_end(subject)
            while len(self._known) > MOST_KEYS:
                self._known.popitem(last=False)
        return found


NO_KEYS = Keyring(None)


def hashed(lookup: Key, scope: str, value: str) -> str:
    """Return what stands for a value that has to be found: nobody without the key can guess it."""
    code = keyed(lookup.secret).copy()
    code.update(f"{scope}\0{value}".encode())
    return f"hmac:{code.hexdigest()}"


@lru_cache(maxsize=2)
def keyed(secret: bytes) -> hmac.HMAC:
    """Return an HMAC that is to be copied: setting one up takes longer than a short text."""
    return hmac.new(secret, digestmod="sha256")
