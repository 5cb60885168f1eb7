"""Passwords: argon2id in a few threads, so that a flood of sign-ins cannot take all memory."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from event_store.records import StoreOverloaded

Result = TypeVar("Result")

# The OWASP minimum (password storage cheat sheet, 2026): 19 MiB, two passes, one lane.
HASHER = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
AT_ONCE = 4
# Whoever comes later would wait for seconds: better told at once (50 hashes a second on two cores).
MOST_WAITING = 128
# What an unknown account's password is compared with, so that it takes as long as a known one's.
NOBODYS = (
    "$argon2id$v=19$m=19456,t=2,p=1$twau2LakzGpdrT9yIhQlgQ"
    "$YgiNZH1j2egAlud/85IhlpbkaRopWTJ9ZavMOVuRckI"
)


class Passwords:
    """Hashes and verifies passwords off the event loop, at most four at a time.

    Both raise `StoreOverloaded` at once while too many wait already.
    """

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="argon2")
        self._under_way = 0

    async def hash(self, password: str) -> str:
        """Return the argon2id hash in PHC form."""
        return await self._run(HASHER.hash, password)

    async def fits(self, password_hash: str | None, password: str) -> bool:
        """Tell whether the password has this hash; None costs the same time and never fits."""
        return await self._run(fits, password_hash, password)

    def is_outdated(self, password_hash: str) -> bool:
        """Tell whether a hash was made with other parameters than are in use now."""
        return HASHER.check_needs_rehash(password_hash)

    async def _run(self, work: Callable[..., Result], *arguments: object) -> Result:
        if self._under_way >= MOST_WAITING:
            raise StoreOverloaded("Too many passwords are waiting to be hashed.")
        self._under_way += 1
        future = asyncio.get_running_loop().run_in_executor(self._threads, work, *arguments)
        future.add_done_callback(self._done)
        return await future

    def _done(self, _future: object) -> None:
        self._under_way -= 1

    def close(self) -> None:
        """Let the threads go."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def fits(password_hash: str | None, password: str) -> bool:
    """Compare as `Passwords.fits` does, in this thread."""
    try:
        HASHER.verify(password_hash or NOBODYS, password)
    except (VerificationError, InvalidHashError, UnicodeEncodeError):
        return False
    return password_hash is not None
