"""Who asks: the access token of the Authorization header, unless it was revoked."""

from api.errors import BadToken
from api.request_context import Caller, Context
from api.revocations import Revocations
from api.tokens import Tokens

SCHEME = "bearer"


class Authentication:
    """Knows the caller of a request."""

    def __init__(self, tokens: Tokens, revocations: Revocations) -> None:
        self._tokens, self._revocations = tokens, revocations

    def caller_of(self, context: Context) -> Caller | None:
        """Return who asks, None if the request does not say.

        Raises `BadToken` or `TokenExpired`, and `StoreUnavailable` while revocations are not known.
        """
        header = context.headers.get(b"authorization")
        if header is None:
            return None
        scheme, _, token = header.decode("latin-1").partition(" ")
        if scheme.lower() != SCHEME:
            raise BadToken("Only access tokens are accepted: Authorization: Bearer.")
        claims = self._tokens.verify(token.strip())
        if self._revocations.revoked(claims.user_id, claims.session_id, claims.position):
            raise BadToken
        return Caller(
            claims.user_id, claims.session_id, claims.role, claims.position, claims.expires
        )
