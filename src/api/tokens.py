"""Access tokens: who signed in, in which session, signed for an hour (RFC 7519, 8725, 9068)."""

import time
import uuid
from collections.abc import Mapping
from typing import Any, get_args
from uuid import UUID

import jwt
import msgspec

from api.errors import BadToken, TokenExpired
from domain.user import Role

LIFETIME_SECONDS = 3_600
ALGORITHM = "HS256"
TYPE = "at+jwt"
ISSUER = "daybook"
AUDIENCE = "daybook-api"
SHORTEST_KEY = 32
LONGEST_TOKEN = 4_096
MOST_REMEMBERED = 10_000
CLOCK_SKEW_SECONDS = 5
REQUIRED = ["exp", "iat", "jti", "sub", "iss", "aud"]
ROLES = frozenset(get_args(Role))


class Claims(msgspec.Struct, frozen=True):
    """What a token says; `position` is that in the log of the event that it was issued for."""

    user_id: UUID
    session_id: UUID
    role: str
    position: int
    expires: int = 0


class Tokens:
    """Issues and verifies access tokens; more keys than the one that signs allow rotation.

    A token that was verified is remembered whole: verifying costs as much as a whole request.
    """

    def __init__(self, keys: Mapping[str, bytes], signing_key: str) -> None:
        """`keys` maps a key id to at least 32 secret bytes; `signing_key` is the id in use."""
        check(keys, signing_key)
        self._keys, self._signing_key = dict(keys), signing_key
        self._jwt = jwt.PyJWT({"enforce_minimum_key_length": True})
        self._verified: dict[str, Claims] = {}

    def use(self, keys: Mapping[str, bytes], signing_key: str) -> None:
        """Take other keys; tokens of one that is not among them are no longer good."""
        check(keys, signing_key)
        self._keys, self._signing_key = dict(keys), signing_key
        self._verified.clear()

    def issue(self, claims: Claims) -> str:
        """Return a token that is good from now for an hour."""
        now = int(time.time())
        payload = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": str(claims.user_id),
            "sid": str(claims.session_id),
            "role": claims.role,
            "pos": claims.position,
            "iat": now,
            "exp": now + LIFETIME_SECONDS,
            "jti": str(uuid.uuid4()),
        }
        headers = {"kid": self._signing_key, "typ": TYPE}
        return self._jwt.encode(payload, self._keys[self._signing_key], ALGORITHM, headers)

    def verify(self, token: str) -> Claims:
        """Return what a token says; `TokenExpired`, or `BadToken` whatever else is wrong."""
        claims = self._verified.get(token)
        if claims is None:
            claims = self._read(token)
            if len(self._verified) >= MOST_REMEMBERED:
                self._verified.clear()
            self._verified[token] = claims
        elif time.time() >= claims.expires + CLOCK_SKEW_SECONDS:
            raise TokenExpired
        return claims

    def _read(self, token: str) -> Claims:
        if len(token) > LONGEST_TOKEN:
            raise BadToken
        try:
            key = self._key_of(jwt.get_unverified_header(token))
            payload = self._jwt.decode(
                token,
                key,
                algorithms=[ALGORITHM],
                audience=AUDIENCE,
                issuer=ISSUER,
                leeway=CLOCK_SKEW_SECONDS,
                options={"require": REQUIRED, "strict_aud": True},
            )
            return claims_of(payload)
        except jwt.ExpiredSignatureError:
            raise TokenExpired from None
        except (jwt.PyJWTError, KeyError, ValueError, TypeError, RecursionError):
            raise BadToken from None

    def _key_of(self, header: Mapping[str, Any]) -> bytes:
        if header.get("typ") != TYPE or header.get("alg") != ALGORITHM:
            raise BadToken
        return self._keys[header["kid"]]


def check(keys: Mapping[str, bytes], signing_key: str) -> None:
    """Raise `ValueError` if a key is too short (RFC 7518, 3.2) or none of them signs."""
    if signing_key not in keys or any(len(key) < SHORTEST_KEY for key in keys.values()):
        raise ValueError("The keys that sign tokens have at least 32 bytes, one of them signs.")


def claims_of(payload: Mapping[str, Any]) -> Claims:
    """Read the claims; KeyError, ValueError or TypeError if they are not as issued."""
    role, position = payload["role"], payload["pos"]
    if role not in ROLES or not isinstance(position, int):
        raise ValueError(role)
    return Claims(UUID(payload["sub"]), UUID(payload["sid"]), role, position, int(payload["exp"]))
