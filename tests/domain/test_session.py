"""Sessions: a refresh token works once, and coming back it ends the session."""

from datetime import timedelta

import pytest

from domain.session import (
    RefreshReused,
    Session,
    SessionEnded,
    SessionRefreshed,
    SessionStarted,
    Unauthenticated,
    evolve,
    is_reuse,
    log_out,
    outlived,
    refresh,
    start,
)
from domain.user import User, UserClosed, UserPasswordChanged, UserRenamed, UserRoleChanged
from domain.user import evolve as user_evolve
from tests.domain.given import ALICE, NOON, ORDER, TEAPOT, state_of

LAPTOP, PHONE = ORDER, TEAPOT
WEEK = timedelta(days=7)
STARTED = SessionStarted(ALICE, 1, "first", NOON + WEEK)
AGAIN = SessionRefreshed(ALICE, "second", NOON + WEEK)
USER = User("alice@example.com", "Alice", "$argon2id$1", "customer")


def test_a_session_starts_at_the_version_that_the_account_has() -> None:
    renamed = user_evolve(USER, UserRenamed("Al"))
    assert start(ALICE, renamed, "first", NOON) == [SessionStarted(ALICE, 2, "first", NOON)]


def test_a_refresh_token_is_exchanged_for_the_next() -> None:
    session = state_of(evolve, [STARTED])
    assert refresh(session, "first", "second", NOON, NOON + WEEK) == [AGAIN]
    session = evolve(session, AGAIN)
    assert session.refresh_digest == "second"
    assert session.spent == {"first"}


def test_a_spent_refresh_token_ends_the_session() -> None:
    session = state_of(evolve, [STARTED, AGAIN])
    assert is_reuse(session, "first")
    assert refresh(session, "first", "third", NOON, NOON + WEEK) == [SessionEnded(ALICE, "reuse")]
    assert RefreshReused.code == "REFRESH_REUSED"


def test_a_token_that_was_never_given_is_refused_without_ending_the_session() -> None:
    session = state_of(evolve, [STARTED, AGAIN])
    assert not is_reuse(session, "forged")
    with pytest.raises(Unauthenticated):
        refresh(session, "forged", "third", NOON, NOON + WEEK)


def test_a_refresh_token_works_until_it_expires_and_not_then() -> None:
    session = state_of(evolve, [STARTED])
    almost = NOON + WEEK - timedelta(microseconds=1)
    assert refresh(session, "first", "second", almost, NOON + WEEK)
    with pytest.raises(Unauthenticated):
        refresh(session, "first", "second", NOON + WEEK, NOON + WEEK + WEEK)


def test_a_session_is_over_90_days_after_the_sign_in_however_often_it_is_refreshed() -> None:
    session, last = state_of(evolve, [STARTED]), NOON + WEEK + timedelta(days=83)
    for day in range(0, 90, 6):
        now = NOON + timedelta(days=day)
        (event,) = refresh(session, session.refresh_digest, f"token-{day}", now, now + WEEK)
        assert isinstance(event, SessionRefreshed)
        assert event.expires_at <= last
        session = evolve(session, event)
    assert session.expires_at == last == NOON + timedelta(days=90)
    with pytest.raises(Unauthenticated):
        refresh(session, session.refresh_digest, "one more", last, last + WEEK)


def test_no_token_of_an_ended_session_works() -> None:
    session = state_of(evolve, [STARTED, AGAIN, SessionEnded(ALICE, "logout")])
    for token in ("first", "second", "forged"):
        assert not is_reuse(session, token)
        with pytest.raises(Unauthenticated):
            refresh(session, token, "third", NOON, NOON + WEEK)


def test_a_session_is_logged_out_once() -> None:
    session = state_of(evolve, [STARTED])
    assert log_out(session) == [SessionEnded(ALICE, "logout")]
    assert log_out(evolve(session, SessionEnded(ALICE, "logout"))) == []


def session_since(version: int) -> Session:
    """Return a session that began when the account had this version."""
    return state_of(evolve, [SessionStarted(ALICE, version, "first", NOON + WEEK)])


def test_a_new_password_ends_older_sessions_but_the_asking_one() -> None:
    user = user_evolve(USER, UserPasswordChanged("$argon2id$2", LAPTOP))
    assert outlived(PHONE, session_since(1), user)
    assert not outlived(LAPTOP, session_since(1), user)
    assert not outlived(PHONE, session_since(2), user)


def test_a_kept_session_ends_with_the_next_change_of_password_or_role() -> None:
    kept = user_evolve(USER, UserPasswordChanged("$argon2id$2", LAPTOP))
    other = user_evolve(kept, UserPasswordChanged("$argon2id$3", PHONE))
    promoted = user_evolve(kept, UserRoleChanged("staff", "customer"))
    assert outlived(LAPTOP, session_since(1), other)
    assert outlived(LAPTOP, session_since(1), promoted)


def test_a_session_that_a_new_role_ended_is_not_revived_by_a_new_password() -> None:
    demoted = user_evolve(USER, UserRoleChanged("staff", "customer"))
    changed = user_evolve(demoted, UserPasswordChanged("$argon2id$2", LAPTOP))
    assert outlived(LAPTOP, session_since(1), changed)
    assert not outlived(LAPTOP, session_since(2), changed)


def test_a_new_name_ends_no_session() -> None:
    assert not outlived(LAPTOP, session_since(1), user_evolve(USER, UserRenamed("Al")))


def test_a_closed_account_has_no_session() -> None:
    closed = user_evolve(USER, UserClosed())
    assert outlived(LAPTOP, session_since(1), closed)
    assert outlived(LAPTOP, session_since(2), closed)
