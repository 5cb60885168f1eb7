"""Log in: start a session with e-mail address and password."""

from uuid import UUID

import msgspec

from commands.aggregates import SESSION, USER
from commands.identifiers import new_id
from commands.sessions.tokens import LIFETIME, digest, new_token
from commands.work import EMAIL, Work
from domain.session import InvalidCredentials, start
from domain.user import Role, email_key, rehash
from event_store.sign_ins import Origin

# A stream that never is: who is unknown is looked for in the log like who is known.
NOBODY = UUID(int=0)


class LogIn(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody signs in with, and from where."""

    email: str
    password: str
    origin: Origin = Origin()


class SignedIn(msgspec.Struct, frozen=True, kw_only=True):
    """Who signed in, and the only copy of the refresh token."""

    user_id: UUID
    role: Role
    session_id: UUID
    refresh_token: str


async def log_in(work: Work, request: LogIn) -> SignedIn:
    """Start a session; `InvalidCredentials` says the same in the same time whatever is wrong.

    Raises `TooManyFailures` before the password is looked at and once more after it.
    """
    door = work.tools.door
    await door.check(request.email, request.origin)
    user_id = await work.tools.store.find(EMAIL, email_key(request.email), personal=True)
    # Proven, or a refusal would be decided twice, and a second hash tells that there is an account.
    user = await work.find(USER, user_id or NOBODY, proven=True)
    password_hash = user.password_hash if user else None
    fits = await work.tools.passwords.fits(password_hash, request.password)
    if user_id is None or user is None or not fits or user.status != "active":
        await door.failed(request.email, request.origin, user_id)
        raise InvalidCredentials
    await door.check(request.email, request.origin)
    if password_hash is not None and work.tools.passwords.is_outdated(password_hash):
        work.add(user_id, rehash(user, await work.tools.passwords.hash(request.password)))
    session_id = new_id()
    token = new_token(session_id)
    work.create(SESSION, session_id, start(user_id, user, digest(token), work.now + LIFETIME))
    return SignedIn(user_id=user_id, role=user.role, session_id=session_id, refresh_token=token)
