"""Whose account a command may be about."""

from uuid import UUID

from commands.work import Work
from domain.refusal import Forbidden, NotFound


def own_or_administered(work: Work, user_id: UUID) -> None:
    """Let the account's owner and administrators pass; to others the account does not exist."""
    if work.asker.user_id != user_id and work.asker.role not in {"admin", "system"}:
        raise Forbidden if work.asker.is_staff else NotFound


def own(work: Work, user_id: UUID) -> None:
    """Let the account's owner pass."""
    if work.asker.user_id != user_id:
        raise Forbidden if work.asker.is_staff else NotFound
