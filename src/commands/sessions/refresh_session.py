"""Refresh a session: a refresh token is good once; coming back, it ends the session."""

import msgspec

from commands.aggregates import SESSION, USER
from commands.sessions.log_in import SignedIn
from commands.sessions.tokens import LIFETIME, digest, new_token, session_of
from commands.work import Work
from domain.session import RefreshReused, Unauthenticated, is_reuse, outlived, refresh


class RefreshSession(msgspec.Struct, frozen=True, kw_only=True):
    """The refresh token that was given last."""

    refresh_token: str


async def refresh_session(work: Work, request: RefreshSession) -> SignedIn:
    """Exchange the token; `RefreshReused` or `Unauthenticated` if it is not good."""
    session_id = session_of(request.refresh_token)
    session = await work.find(SESSION, session_id)
    user = await work.find(USER, session.user_id) if session else None
    if session is None or user is None or outlived(session_id, session, user):
        raise Unauthenticated
    work.target_id = session_id
    presented, token = digest(request.refresh_token), new_token(session_id)
    if is_reuse(session, presented):
        # Raised once the session's end is in the log.
        work.refusal = RefreshReused(session.user_id, session_id)
    expires_at = work.now + LIFETIME
    work.add(session_id, refresh(session, presented, digest(token), work.now, expires_at))
    return SignedIn(
        user_id=session.user_id, role=user.role, session_id=session_id, refresh_token=token
    )
