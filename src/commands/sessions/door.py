"""The door: who may try to sign in, after how many failures, and what is recorded of it."""

import hmac
from collections.abc import Callable, Sequence
from uuid import UUID

import structlog

from domain.session import TooManyFailures
from domain.user import email_key
from event_store.sign_ins import Kind, Origin, SignIns

Secrets = Callable[[], Sequence[bytes]]

log = structlog.get_logger(__name__)


class Door:
    """Turns away who has failed too often; without records everybody may try, unrecorded.

    An account is known by keyed hashes of its e-mail address: the first is recorded, the others,
    under secrets of the past, count as well.
    """

    def __init__(
        self,
        records: SignIns | None = None,
        secrets: Secrets = lambda: (),
        told: Callable[[str], None] = lambda _: None,
    ) -> None:
        """`secrets` gives the keys of the hashes, the newest first; `told` hears `refused`."""
        self._records, self._secrets, self._told = records, secrets, told

    async def check(self, email: str, origin: Origin) -> None:
        """Raise `TooManyFailures` while the account or the network is locked."""
        if self._records is None:
            return
        accounts = self._accounts(email)
        wait = await self._records.wait(accounts, origin.network)
        if wait > 0:
            await self._turn_away(accounts, origin, wait)

    async def failed(self, email: str, origin: Origin, user_id: UUID | None) -> None:
        """Record a failure; `TooManyFailures` if it is one too many, and nobody is told why.

        Of all who try at once exactly as many as are allowed pass here without that.
        """
        if self._records is None:
            return
        accounts = self._accounts(email)
        wait = await self._records.fail(accounts, origin, user_id)
        if wait > 0:
            await self._turn_away(accounts, origin, wait)

    async def signed_in(self, email: str, origin: Origin, user_id: UUID, session_id: UUID) -> None:
        """Record a success: what failed before it counts no more for the account."""
        if self._records is None:
            return
        (account, *_) = self._accounts(email)
        await self._records.add(
            "signed_in", origin, account=account, user_id=user_id, session_id=session_id
        )

    async def note(
        self, kind: Kind, origin: Origin, user_id: UUID | None, session_id: UUID | None
    ) -> None:
        """Record what became of a session."""
        if self._records is not None:
            await self._records.add(kind, origin, user_id=user_id, session_id=session_id)

    def _accounts(self, email: str) -> list[str]:
        text = email_key(email).encode("utf-8", "surrogatepass")
        return [hmac.digest(key, text, "sha256").hex() for key in self._secrets()]

    async def _turn_away(self, accounts: Sequence[str], origin: Origin, wait: float) -> None:
        assert self._records is not None  # noqa: S101 - as above
        assert self._records.limit is not None  # noqa: S101 - there is no lock without a limit
        self._told("refused")
        await self._records.lock_out(accounts, origin)
        log.warning("sign_in_locked", address=origin.address, account=accounts[0][:12])
        limit = self._records.limit
        raise TooManyFailures(limit.most, int(limit.span.total_seconds()), wait)
