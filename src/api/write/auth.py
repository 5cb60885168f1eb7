"""Sign-ins over HTTP: log in, refresh, log out."""

from typing import Annotated, Literal

import msgspec
from litestar.di import NamedDependency
from litestar.params import JSONBody

from api.envelope import Answer, Success
from api.guards import ANYONE, SIGNED_IN
from api.links import links_to
from api.request import ApiRequest
from api.request_context import NO_STORE
from api.revocations import Revocations
from api.routes import V1, route
from api.tokens import LIFETIME_SECONDS, Claims, Tokens
from api.write.intake import Intake, origin_of
from api.write.receipts import answered, check_no_body, gone
from commands.receipts import Receipt
from commands.sessions.log_in import LogIn, SignedIn, log_in
from commands.sessions.log_out import LogOut, log_out
from commands.sessions.refresh_session import RefreshSession, refresh_session
from domain.session import RefreshReused
from event_store.reading import Revocation

TAG = "Sign-in"
# Text that may go to the database without further checks: no control characters.
PRINTABLE = r"^[^\x00-\x1f\x7f]*$(?!\n)"
LONGEST = 1_024


NEXT = links_to("refresh", body={"refreshToken": "$response.body#/data/refreshToken"})


class LoginBody(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """What somebody signs in with."""

    email: Annotated[
        str,
        msgspec.Meta(max_length=320, pattern=PRINTABLE, examples=["ada@example.com"]),
    ]
    password: Annotated[str, msgspec.Meta(max_length=LONGEST, examples=["correct horse"])]


class RefreshBody(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """The refresh token that was given last."""

    refresh_token: Annotated[str, msgspec.Meta(max_length=LONGEST)]


class TokenPair(msgspec.Struct, frozen=True, rename="camel"):
    """Credentials: the access token for an hour, the refresh token for seven days and one use."""

    access_token: str
    refresh_token: str
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105 - the name of a scheme
    expires_in: int = LIFETIME_SECONDS


@route(
    "POST",
    f"{V1}/auth/login",
    who=ANYONE,
    summary="Sign in",
    tag=TAG,
    refusals=["INVALID_CREDENTIALS", "UNAVAILABLE"],
    credentials=False,
    links=NEXT,
)
async def login(
    request: ApiRequest,
    data: JSONBody[LoginBody],
    intake: NamedDependency[Intake],
    tokens: NamedDependency[Tokens],
) -> Answer[Success[TokenPair]]:
    """Start a session. What is wrong with an address or a password is not said.

    After too many failures, of the account or from the address, also the right password is refused.
    """
    origin = origin_of(request)
    command = LogIn(email=data.email, password=data.password, origin=origin)
    receipt = await intake.take_secretly(request, log_in, command)
    found = receipt.answer
    await intake.tools.door.signed_in(data.email, origin, found.user_id, found.session_id)
    return signed_in(receipt, tokens)


@route(
    "POST",
    f"{V1}/auth/refresh",
    who=ANYONE,
    summary="Exchange a refresh token",
    tag=TAG,
    refusals=["UNAUTHENTICATED", "REFRESH_REUSED", "VERSION_CONFLICT", "UNAVAILABLE"],
    credentials=False,
    links=NEXT,
)
async def refresh(
    request: ApiRequest,
    data: JSONBody[RefreshBody],
    intake: NamedDependency[Intake],
    tokens: NamedDependency[Tokens],
) -> Answer[Success[TokenPair]]:
    """Get a new pair of tokens. Using the old one again ends the session."""
    command = RefreshSession(refresh_token=data.refresh_token)
    door, origin = intake.tools.door, origin_of(request)
    try:
        receipt = await intake.take_secretly(request, refresh_session, command)
    except RefreshReused as reuse:
        await door.note("reused", origin, reuse.user_id, reuse.session_id)
        raise
    await door.note("refreshed", origin, receipt.answer.user_id, receipt.id)
    return signed_in(receipt, tokens)


@route("POST", f"{V1}/auth/logout", who=SIGNED_IN, summary="Sign out", tag=TAG, status=204)
async def logout(
    request: ApiRequest,
    intake: NamedDependency[Intake],
    revocations: NamedDependency[Revocations],
) -> Answer[None]:
    """End the session of the access token; its refresh token dies with it."""
    await check_no_body(request)
    command = LogOut(session_id=request.caller.session_id)
    receipt = await intake.take_secretly(request, log_out, command)
    revocations.learn([Revocation(receipt.position, "session.ended", receipt.id)])
    await intake.tools.door.note(
        "signed_out", origin_of(request), request.caller.user_id, receipt.id
    )
    return gone(receipt)


def signed_in(receipt: Receipt[SignedIn], tokens: Tokens) -> Answer[Success[TokenPair]]:
    """Answer with the credentials of a session."""
    found = receipt.answer
    claims = Claims(found.user_id, found.session_id, found.role, receipt.position)
    answer = answered(receipt, TokenPair(tokens.issue(claims), found.refresh_token))
    answer.sent_headers = [*answer.sent_headers, NO_STORE]  # RFC 6749, 5.1
    return answer


HANDLERS = [login, refresh, logout]
