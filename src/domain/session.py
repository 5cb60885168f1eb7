"""A session: one sign-in, kept alive by refresh tokens that each work once (RFC 9700, 4.14)."""

from datetime import datetime, timedelta
from typing import Literal, assert_never
from uuid import UUID

import msgspec

from domain.refusal import Refusal
from domain.user import User

# However often it is refreshed, a session ends so long after its first token would have (90 days
# after the sign-in; ASVS 7.3.2).
LONGEST_EXTENSION = timedelta(days=83)

Ending = Literal["logout", "reuse"]

# What happened. These names and fields are kept for ever: change an event by giving it a version.


class SessionStarted(msgspec.Struct, frozen=True):
    """A user signed in. `refresh_digest` is the SHA-256 of the refresh token, in hexadecimal."""

    user_id: UUID
    user_version: int
    refresh_digest: str
    expires_at: datetime


class SessionRefreshed(msgspec.Struct, frozen=True):
    """The refresh token was exchanged for the next one."""

    user_id: UUID
    refresh_digest: str
    expires_at: datetime


class SessionEnded(msgspec.Struct, frozen=True):
    """The session was ended: by its user, or because a spent refresh token came back."""

    user_id: UUID
    reason: Ending


Event = SessionStarted | SessionRefreshed | SessionEnded


# What it is now.


class Session(msgspec.Struct, frozen=True):
    """The session as the events left it; `spent` are digests of tokens that no longer work.

    `ends_at`: nothing keeps it alive for longer.
    """

    user_id: UUID
    user_version: int
    refresh_digest: str
    expires_at: datetime
    ends_at: datetime
    spent: frozenset[str] = frozenset()
    ended: bool = False


def evolve(session: Session | None, event: Event) -> Session:
    """Fold one more event into the session."""
    match event:
        case SessionStarted(user_id, user_version, digest, expires_at):
            ends_at = expires_at + LONGEST_EXTENSION
            return Session(user_id, user_version, digest, expires_at, ends_at)
    assert session is not None  # noqa: S101 - the log checks versions: a stream begins with its beginning
    match event:
        case SessionRefreshed(_, digest, expires_at):
            return msgspec.structs.replace(
                session,
                refresh_digest=digest,
                expires_at=expires_at,
                spent=session.spent | {session.refresh_digest},
            )
        case SessionEnded():
            return msgspec.structs.replace(session, ended=True)
        case _:
            assert_never(event)


# What may happen next.


class InvalidCredentials(Refusal):
    """Address and password do not belong together; which of them is wrong is not said."""

    code = "INVALID_CREDENTIALS"
    sentence = "E-mail address or password is wrong."


class TooManyFailures(Refusal):
    """Signing in failed too often, for this account or from this network: wait so many seconds.

    The right password is refused as well, or a lock would tell which one it is.
    """

    code = "RATE_LIMITED"
    sentence = "Too many sign-ins failed: try again later."

    def __init__(self, most: int = 0, span: int = 0, wait: float = 0) -> None:
        super().__init__()
        self.most, self.span, self.wait = most, span, wait


class Unauthenticated(Refusal):
    """The refresh token is not, or no longer, good for anything."""

    code = "UNAUTHENTICATED"
    sentence = "The refresh token is not valid: sign in again."


class RefreshReused(Refusal):
    """A refresh token came a second time: it may be stolen, so the session has ended."""

    code = "REFRESH_REUSED"
    sentence = "This refresh token was used before, so the session was ended: sign in again."

    def __init__(self, user_id: UUID | None = None, session_id: UUID | None = None) -> None:
        super().__init__()
        self.user_id, self.session_id = user_id, session_id


def start(user_id: UUID, user: User, digest: str, expires_at: datetime) -> list[Event]:
    """Sign a user in."""
    return [SessionStarted(user_id, user.version, digest, expires_at)]


def outlived(session_id: UUID, session: Session, user: User) -> bool:
    """Tell whether the account ended this session by a new password or role, or by closing."""
    is_another = user.kept_session != session_id
    return (
        user.status != "active"
        or session.user_version < user.sessions_ended_at
        or (is_another and session.user_version < user.other_sessions_ended_at)
    )


def is_reuse(session: Session, digest: str) -> bool:
    """Tell whether a spent refresh token came back to a session that is still open."""
    return not session.ended and digest in session.spent


def refresh(
    session: Session, presented: str, successor: str, now: datetime, expires_at: datetime
) -> list[Event]:
    """Exchange the refresh token; a spent one ends the session (the caller is then refused)."""
    if is_reuse(session, presented):
        return [SessionEnded(session.user_id, "reuse")]
    if session.ended or presented != session.refresh_digest or now >= session.expires_at:
        raise Unauthenticated
    return [SessionRefreshed(session.user_id, successor, min(expires_at, session.ends_at))]


def log_out(session: Session) -> list[Event]:
    """End the session; one that has ended already stays so."""
    return [] if session.ended else [SessionEnded(session.user_id, "logout")]
