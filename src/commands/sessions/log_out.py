"""Log out: end one's session."""

from uuid import UUID

import msgspec

from commands.aggregates import SESSION
from commands.work import Work
from domain import session as domain


class LogOut(msgspec.Struct, frozen=True, kw_only=True):
    """The session to end."""

    session_id: UUID


async def log_out(work: Work, request: LogOut) -> None:
    """End the session."""
    session = await work.target(SESSION, request.session_id)
    work.add(request.session_id, domain.log_out(session))
