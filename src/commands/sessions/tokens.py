"""Refresh tokens: a session's id and 256 random bits; the log keeps only their SHA-256."""

import secrets
from datetime import timedelta
from hashlib import sha256
from uuid import UUID

from domain.session import Unauthenticated

LIFETIME = timedelta(days=7)


def new_token(session_id: UUID) -> str:
    """Return a new refresh token of a session."""
    return f"{session_id.hex}.{secrets.token_urlsafe(32)}"


def digest(token: str) -> str:
    """Return what is stored of a token."""
    return sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def session_of(token: str) -> UUID:
    """Return the session that a token names; `Unauthenticated` if it names none."""
    identifier, _, secret = token.partition(".")
    try:
        session_id = UUID(hex=identifier)
    except ValueError:
        raise Unauthenticated from None
    if not secret or session_id.hex != identifier:
        raise Unauthenticated
    return session_id
