"""Sessions through the log: sign in, refresh once a token, end."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import msgspec
import pytest

from commands.execution import execute
from commands.sessions.log_out import LogOut, log_out
from commands.sessions.refresh_session import RefreshSession, refresh_session
from commands.sessions.tokens import digest, new_token, session_of
from commands.work import Asker, Tools
from domain.refusal import NotFound
from domain.session import InvalidCredentials, RefreshReused, SessionEnded, Unauthenticated
from tests.commands.given import (
    ANYONE,
    asking,
    outcomes,
    registered,
    signed_in,
    working_on,
)
from tests.event_store.asynchronous import on_a_loop
from tests.event_store.given import rows


async def refreshed(tools: Tools, token: str, asker: Asker = ANYONE) -> str:
    """Exchange a refresh token for the next."""
    request = RefreshSession(refresh_token=token)
    return (await execute(tools, asker, refresh_session, request)).answer.refresh_token


@on_a_loop
async def test_whoever_signs_in_gets_a_session_and_its_only_token(database_url: str) -> None:
    async with working_on(database_url) as tools:
        alice = await registered(tools)
        signed = await signed_in(tools, " ALICE@example.com")
        assert (signed.user_id, signed.role) == (alice, "customer")
        assert session_of(signed.refresh_token) == signed.session_id
    stored = str(rows(database_url, "select data from events"))
    assert digest(signed.refresh_token) in stored
    assert signed.refresh_token not in stored


@pytest.mark.parametrize(
    ("email", "password"),
    [
        ("alice@example.com", "wrong password"),
        ("alice@example.com", ""),
        ("alice@example.com", "x" * 1_000),
        ("alice@example.com", "half \ud800"),
        ("nobody@example.com", "correct horse"),
        ("no address", "correct horse"),
        ("", ""),
    ],
)
@on_a_loop
async def test_wrong_credentials_say_the_same_whatever_is_wrong(
    database_url: str, email: str, password: str
) -> None:
    async with working_on(database_url) as tools:
        await registered(tools)
        with pytest.raises(InvalidCredentials) as refused:
            await signed_in(tools, email, password)
        assert str(refused.value) == InvalidCredentials.sentence
        assert await tools.store.head() == 1


@on_a_loop
async def test_a_refresh_token_is_exchanged_for_the_next(database_url: str) -> None:
    async with working_on(database_url) as tools:
        await registered(tools)
        signed = await signed_in(tools)
        token = signed.refresh_token
        for _ in range(3):
            token, before = await refreshed(tools, token), token
            assert token != before
            assert session_of(token) == signed.session_id


@on_a_loop
async def test_a_refresh_token_that_comes_back_ends_the_session_and_that_is_in_the_log(
    database_url: str,
) -> None:
    async with working_on(database_url) as tools:
        alice = await registered(tools)
        signed = await signed_in(tools)
        newest = await refreshed(tools, signed.refresh_token)
        with pytest.raises(RefreshReused):
            await refreshed(tools, signed.refresh_token)
        events = await tools.store.load(signed.session_id)
        assert events[-1] == SessionEnded(alice, "reuse")
        for token in (newest, signed.refresh_token):
            with pytest.raises(Unauthenticated):
                await refreshed(tools, token)
        assert len(await tools.store.load(signed.session_id)) == 3


@on_a_loop
async def test_one_token_used_twice_at_once_works_once_and_ends_the_session(
    database_url: str,
) -> None:
    async with working_on(database_url) as tools:
        await registered(tools)
        signed = await signed_in(tools)
        got = await outcomes([refreshed(tools, signed.refresh_token) for _ in range(2)])
        assert got == ["RefreshReused", "str"]
        events = await tools.store.load(signed.session_id)
        assert [type(event).__name__ for event in events] == [
            "SessionStarted",
            "SessionRefreshed",
            "SessionEnded",
        ]


@pytest.mark.parametrize(
    "token", ["", ".", "junk", "\ud800", "0" * 32, f"{'0' * 32}.", f"{'0' * 32}.secret", "a.b.c"]
)
@on_a_loop
async def test_what_is_no_token_of_ours_is_refused(database_url: str, token: str) -> None:
    async with working_on(database_url) as tools:
        with pytest.raises(Unauthenticated):
            await refreshed(tools, token)


@on_a_loop
async def test_a_forged_token_of_a_real_session_is_refused_and_does_it_no_harm(
    database_url: str,
) -> None:
    async with working_on(database_url) as tools:
        await registered(tools)
        signed = await signed_in(tools)
        for forged in (
            new_token(signed.session_id),
            f"{signed.refresh_token}\ud800",
            signed.refresh_token.replace(".", "-.", 1),
            str(signed.session_id) + "." + signed.refresh_token.partition(".")[2],
        ):
            with pytest.raises(Unauthenticated):
                await refreshed(tools, forged)
        await refreshed(tools, signed.refresh_token)


@on_a_loop
async def test_a_session_that_is_not_refreshed_for_a_week_is_over(database_url: str) -> None:
    async with working_on(database_url) as tools:
        await registered(tools)
        signed = await signed_in(tools)
        later = datetime.now(UTC) + timedelta(days=7, seconds=1)
        asker = msgspec.structs.replace(ANYONE, occurred_at=later)
        with pytest.raises(Unauthenticated):
            await refreshed(tools, signed.refresh_token, asker)


@on_a_loop
async def test_a_session_ends_when_its_user_logs_out(database_url: str) -> None:
    async with working_on(database_url) as tools:
        alice = await registered(tools)
        signed, other = await signed_in(tools), await signed_in(tools)
        asker = asking("customer", alice, signed.session_id)
        request = LogOut(session_id=signed.session_id)
        assert (await execute(tools, asker, log_out, request)).version == 2
        assert (await execute(tools, asker, log_out, request)).version == 2
        with pytest.raises(Unauthenticated):
            await refreshed(tools, signed.refresh_token)
        await refreshed(tools, other.refresh_token)


@on_a_loop
async def test_a_session_that_is_not_there_cannot_be_ended(database_url: str) -> None:
    async with working_on(database_url) as tools:
        with pytest.raises(NotFound):
            await execute(tools, ANYONE, log_out, LogOut(session_id=uuid4()))
