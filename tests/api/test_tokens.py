"""Access tokens: which are believed, until when, and how a signed-in session ends."""

import asyncio
import base64
import hmac
import json
import time
from typing import Any
from uuid import uuid4

import jwt
import pytest

from api import revocations
from api.errors import BadToken, TokenExpired
from api.revocations import Revocations
from api.tokens import Claims, Tokens
from event_store.reading import Revocation
from tests.api.conftest import KEYS, PASSWORD, Client, Person, data_of, refused, register

KEY = KEYS["first"]
BUSY_SECONDS = 60.0


def payload(**changes: object) -> dict[str, Any]:
    now = int(time.time())
    good = {
        "iss": "daybook",
        "aud": "daybook-api",
        "sub": str(uuid4()),
        "sid": str(uuid4()),
        "role": "admin",
        "pos": 1,
        "iat": now,
        "exp": now + 3600,
        "jti": "1",
    }
    return {name: value for name, value in {**good, **changes}.items() if value is not None}


def signed(
    claims: dict[str, Any], key: bytes = KEY, algorithm: str = "HS256", **header: object
) -> str:
    headers = {"typ": "at+jwt", "kid": "first", **header}
    return jwt.encode(claims, key, algorithm, headers=headers)


def unsigned() -> str:
    parts = [{"alg": "none", "typ": "at+jwt", "kid": "first"}, payload()]
    encoded = [
        base64.urlsafe_b64encode(json.dumps(p).encode()).rstrip(b"=").decode() for p in parts
    ]
    return ".".join([*encoded, ""])


def relabelled(algorithm: str, kid: object = "first") -> str:
    """Return a token that is signed by HMAC-SHA256 and says that it was signed otherwise."""
    head, body, _ = signed(payload()).split(".")
    fields = {"alg": algorithm, "typ": "at+jwt", "kid": kid}
    head = base64.urlsafe_b64encode(json.dumps(fields).encode()).rstrip(b"=").decode()
    mac = hmac.digest(KEY, f"{head}.{body}".encode(), "sha256")
    return ".".join([head, body, base64.urlsafe_b64encode(mac).rstrip(b"=").decode()])


def test_a_relabelled_token_is_refused_for_its_label(tokens: Tokens) -> None:
    assert tokens.verify(relabelled("HS256")).role == "admin"


def test_what_is_issued_is_believed(tokens: Tokens) -> None:
    claims = Claims(uuid4(), uuid4(), "staff", 42)
    found = tokens.verify(tokens.issue(claims))
    assert (found.user_id, found.session_id) == (claims.user_id, claims.session_id)
    assert (found.role, found.position) == ("staff", 42)
    assert found.expires == pytest.approx(time.time() + 3600, abs=5)


def test_the_forgeries_below_would_pass_if_nothing_were_wrong(tokens: Tokens) -> None:
    assert tokens.verify(signed(payload())).role == "admin"


def forged() -> list[str]:
    """Return bad tokens, made now: some are too early, and would be good later."""
    return [
        "",
        "x",
        "a.b.c",
        "x" * 6_000_000,
        unsigned(),
        signed(payload(), key=b"3" * 32),
        signed(payload(), algorithm="HS384", key=b"1" * 64),
        signed(payload(), typ="JWT"),
        signed(payload(), typ="refresh+jwt"),
        signed(payload(), kid="third"),
        signed(payload(), algorithm="HS512", key=b"1" * 64),
        relabelled("RS256"),
        relabelled("HS512"),
        relabelled("hs256"),
        signed(payload(), kid="../../etc/passwd"),
        signed(payload(), kid="' or 1=1 --"),
        signed(payload(), kid=""),
        relabelled("HS256", kid=None),
        signed(payload(), key=b"4" * 32, jwk={"kty": "oct", "k": "NDQ0"}),
        signed(payload(), key=b"4" * 32, jku="http://127.0.0.1:1/keys", kid="third"),
        signed(payload(), key=b"4" * 32, x5u="http://127.0.0.1:1/keys"),
        signed(payload(), crit=["exp"]),
        signed(payload(iss="other")),
        signed(payload(aud="other")),
        signed(payload(aud=["daybook-api"])),
        signed(payload(iat=int(time.time()) + 600)),
        signed(payload(nbf=int(time.time()) + 600)),
        signed(payload(role="system")),
        signed(payload(role=["admin"])),
        signed(payload(pos="1")),
        signed(payload(sub="me")),
        signed(payload(sid=None)),
        *(signed(payload(**{name: None})) for name in ("exp", "iat", "jti", "sub", "iss", "aud")),
    ]


@pytest.mark.parametrize("number", range(len(forged())))
def test_a_forged_token_is_refused(tokens: Tokens, number: int) -> None:
    with pytest.raises(BadToken) as caught:
        tokens.verify(forged()[number])
    assert caught.value.code == "UNAUTHENTICATED"


def test_a_forged_token_opens_nothing(client: Client) -> None:
    for token in forged():
        headers = {"Authorization": f"Bearer {token}"}
        answer = client.post("/api/v1/auth/logout", headers=headers)
        refused(answer, 401, "UNAUTHENTICATED")
        assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'


@pytest.mark.parametrize("algorithm", ["HS384", "HS512"])
def test_another_algorithm_is_refused_however_long_the_key(algorithm: str) -> None:
    long = b"1" * 64
    tokens = Tokens({"first": long}, "first")
    assert tokens.verify(signed(payload(), key=long)).role == "admin"
    with pytest.raises(BadToken):
        tokens.verify(signed(payload(), key=long, algorithm=algorithm))


def test_a_token_expires_also_when_it_was_believed_before(
    tokens: Tokens, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = tokens.issue(Claims(uuid4(), uuid4(), "staff", 42))
    tokens.verify(token)
    issued = time.time()
    monkeypatch.setattr(time, "time", lambda: issued + 3_600)
    tokens.verify(token)
    monkeypatch.setattr(time, "time", lambda: issued + 3_661)
    with pytest.raises(TokenExpired):
        tokens.verify(token)


def test_a_token_that_has_expired_is_not_believed_at_first_sight(tokens: Tokens) -> None:
    now = int(time.time())
    with pytest.raises(TokenExpired):
        tokens.verify(signed(payload(iat=now - 3_661, exp=now - 61)))


def test_keys_rotate(tokens: Tokens) -> None:
    old = tokens.issue(Claims(uuid4(), uuid4(), "staff", 42))
    rotated = Tokens(KEYS, "second")
    assert jwt.get_unverified_header(rotated.issue(rotated.verify(old)))["kid"] == "second"
    with pytest.raises(BadToken):
        Tokens({"second": KEYS["second"]}, "second").verify(old)


def test_short_and_missing_keys_are_refused() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        Tokens({"first": b"short"}, "first")
    with pytest.raises(ValueError, match="one of them signs"):
        Tokens(KEYS, "third")


def test_credentials_are_asked_for_and_bad_ones_are_called_so(client: Client) -> None:
    answer = client.post("/api/v1/orders", json={})
    refused(answer, 401, "UNAUTHENTICATED")
    assert answer.headers["www-authenticate"] == "Bearer"
    for header in ("Bearer x", "Bearer", "Basic eDp4", "bearer  "):
        answer = client.post("/api/v1/users", json={}, headers={"Authorization": header})
        refused(answer, 401, "UNAUTHENTICATED")
        assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'
        assert answer.headers["cache-control"] == "no-store"


def test_an_expired_token_is_called_so_and_does_not_hinder_a_refresh(client: Client) -> None:
    person = register(client)
    now = int(time.time())
    expired = signed(payload(iat=now - 4_000, exp=now - 400))
    headers = {"Authorization": f"Bearer {expired}"}
    answer = client.post("/api/v1/auth/logout", headers=headers)
    refused(answer, 401, "TOKEN_EXPIRED")
    body = {"refreshToken": person.refresh_token}
    data_of(client.post("/api/v1/auth/refresh", json=body, headers=headers))


def test_an_access_token_refreshes_nothing(client: Client) -> None:
    body = {"refreshToken": register(client).access_token}
    answer = client.post("/api/v1/auth/refresh", json=body)
    refused(answer, 401, "UNAUTHENTICATED")
    assert answer.headers["www-authenticate"] == "Bearer"


def test_a_refresh_token_opens_nothing(client: Client) -> None:
    person = register(client)
    headers = {"Authorization": f"Bearer {person.refresh_token}"}
    refused(client.post("/api/v1/auth/logout", headers=headers), 401, "UNAUTHENTICATED")


def test_a_changed_role_takes_effect_within_a_second(client: Client, admin: Person) -> None:
    """The log is looked at so often; a look itself may take longer on a busy machine."""
    assert revocations.POLL_SECONDS < 0.5
    person = register(client)
    data_of(admin.ask("PUT", f"/users/{person.id}/role", {"role": "staff"}))
    deadline = time.monotonic() + BUSY_SECONDS
    while person.ask("PATCH", f"/users/{person.id}", {"name": "Same Name"}).is_success:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    person.sign_in()
    refused(person.ask("POST", "/products", {}), 422, "VALIDATION_ERROR")


NEW_PASSWORD = {"currentPassword": PASSWORD, "newPassword": "another long one"}
ENDINGS: dict[str, tuple[str, str, object]] = {
    "sign-out": ("POST", "/auth/logout", None),
    "password": ("PUT", "/users/{}/password", NEW_PASSWORD),
    "role": ("PUT", "/users/{}/role", {"role": "staff"}),
    "closing": ("DELETE", "/users/{}", None),
    "forgetting": ("DELETE", "/users/{}/personal-data", None),
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_another_process_learns_from_the_log_that_a_session_has_ended(
    client: Client, admin: Person, database_url: str, ending: str
) -> None:
    person = register(client)
    claims = Tokens(KEYS, "first").verify(person.access_token)
    by = {"password": Person(client, person.email), "role": admin}.get(ending, person)
    method, path, body = ENDINGS[ending]

    async def follow() -> tuple[bool, bool, bool]:
        other = Revocations(database_url)
        async with other.following():
            before = other.revoked(claims.user_id, claims.session_id, claims.position)
            answer = await asyncio.to_thread(by.ask, method, path.format(person.id), body)
            assert answer.is_success, answer.text
            after, deadline = False, time.monotonic() + BUSY_SECONDS
            while not after and time.monotonic() < deadline:
                await asyncio.sleep(0.05)
                after = other.revoked(claims.user_id, claims.session_id, claims.position)
        late = Revocations(database_url)
        async with late.following():
            return before, after, late.revoked(claims.user_id, claims.session_id, claims.position)

    assert asyncio.run(follow()) == (False, True, True)


def believing() -> Revocations:
    found = Revocations("unused")
    found._looked = time.monotonic()
    return found


def test_a_new_password_spares_the_session_that_gave_it() -> None:
    user, kept, other = uuid4(), uuid4(), uuid4()
    known = believing()
    known.learn([Revocation(10, "user.password_changed", user, kept)])
    assert known.revoked(user, other, 9)
    assert not known.revoked(user, other, 11)
    assert not known.revoked(user, kept, 9)


def test_a_new_password_does_not_spare_what_a_role_change_ended() -> None:
    user, kept = uuid4(), uuid4()
    known = believing()
    known.learn([Revocation(8, "user.role_changed", user)])
    known.learn([Revocation(10, "user.password_changed", user, kept)])
    assert known.revoked(user, kept, 7)
    assert not known.revoked(user, kept, 9)


def test_what_tokens_cannot_outlive_is_forgotten() -> None:
    user, session = uuid4(), uuid4()
    known = believing()
    known.learn([Revocation(8, "user.closed", user), Revocation(9, "session.ended", session)])
    known._forget(time.monotonic() + 1)
    assert known.revoked(user, uuid4(), 7)
    known._forget(time.monotonic() + 3_600 + 601)
    assert not known.revoked(user, session, 7)
