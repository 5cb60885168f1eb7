"""Log in: start a session with e-mail address and password."""

from uuid import UUID

import msgspec

from commands.aggregates import SESSION, USER
from commands.identifiers import new_id
from commands.sessions.tokens import LIFETIME, digest, new_token
from commands.work import EMAIL, Work
from domain.session import InvalidCredentials, start
from domain.user import Role, email_key


class LogIn(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody signs in with."""

    email: str
    password: str


class SignedIn(msgspec.Struct, frozen=True, kw_only=True):
    """Who signed in, and the only copy of the refresh token."""

    user_id: UUID
    role: Role
    session_id: UUID
    refresh_token: str


async def log_in(work: Work, request: LogIn) -> SignedIn:
    """Start a session; `InvalidCredentials` says the same in the same time whatever is wrong."""
    user_id = await work.tools.store.find(EMAIL, email_key(request.email))
    user = await work.find(USER, user_id) if user_id else None
    password_hash = user.password_hash if user else None
    fits = await work.tools.passwords.fits(password_hash, request.password)
    if user_id is None or user is None or not fits or user.status == "closed":
        raise InvalidCredentials
    session_id = new_id()
    token = new_token(session_id)
    work.create(SESSION, session_id, start(user_id, user, digest(token), work.now + LIFETIME))
    return SignedIn(user_id=user_id, role=user.role, session_id=session_id, refresh_token=token)
