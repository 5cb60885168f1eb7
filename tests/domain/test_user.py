"""Accounts: their details, password, role and end."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.refusal import Invalid
from domain.user import (
    AccountClosed,
    User,
    UserClosed,
    UserEmailChanged,
    UserImported,
    UserPasswordChanged,
    UserPasswordRehashed,
    UserRegistered,
    UserRenamed,
    UserRoleChanged,
    change_details,
    change_password,
    change_role,
    check_open,
    check_password,
    checked_name,
    close,
    email_key,
    evolve,
    register,
    rehash,
)
from tests.domain.given import ORDER, state_of

LAPTOP = ORDER
REGISTERED = UserRegistered("alice@example.com", "Alice", "$argon2id$1", "customer")


def test_a_registered_user_is_an_active_customer() -> None:
    assert register("alice@example.com", "  Alice ", "$argon2id$1") == [REGISTERED]
    alice = state_of(evolve, [REGISTERED])
    assert alice == User("alice@example.com", "Alice", "$argon2id$1", "customer")
    assert alice.status == "active"


def test_an_imported_user_is_a_customer_without_a_password() -> None:
    alice = state_of(evolve, [UserImported("c-1@imported.invalid", "Customer 1", "1")])
    assert (alice.role, alice.password_hash, alice.version) == ("customer", None, 1)


@pytest.mark.parametrize("name", ["", "A", " A ", "A\x00B", "x" * 101])
def test_a_name_has_2_to_100_printable_characters(name: str) -> None:
    with pytest.raises(Invalid):
        register("alice@example.com", name, "$argon2id$1")


@pytest.mark.parametrize("password", ["", "1234567", "x" * 129, "pass\ud800word"])
def test_a_password_has_8_to_128_characters_of_unicode(password: str) -> None:
    with pytest.raises(Invalid) as refused:
        check_password("newPassword", password)
    detail = refused.value.details[0]
    assert (detail.field, detail.value) == ("newPassword", None)


def test_a_password_may_be_anything_else() -> None:
    for password in ("12345678", "x" * 128, "  spaces  ", "\u00e9" * 8, "null\x00null"):
        check_password("password", password)


def test_details_that_change_are_events_and_others_are_none() -> None:
    alice = state_of(evolve, [REGISTERED])
    assert change_details(alice, None, None) == []
    assert change_details(alice, "alice@example.com", " Alice") == []
    assert change_details(alice, "a@example.com", "Al") == [
        UserEmailChanged("a@example.com"),
        UserRenamed("Al"),
    ]


def test_a_password_is_kept_under_another_hash_and_ends_no_session() -> None:
    alice = state_of(evolve, [REGISTERED])
    assert rehash(alice, "$argon2id$3") == [UserPasswordRehashed("$argon2id$3")]
    assert evolve(alice, UserPasswordRehashed("$argon2id$3")).other_sessions_ended_at == 0
    with pytest.raises(AccountClosed):
        rehash(evolve(alice, UserClosed()), "$argon2id$3")


def test_every_event_counts_in_the_version() -> None:
    alice = state_of(
        evolve,
        [
            REGISTERED,
            UserEmailChanged("a@example.com"),
            UserRenamed("Al"),
            UserPasswordChanged("$argon2id$2", LAPTOP),
            UserPasswordRehashed("$argon2id$3"),
            UserRoleChanged("staff", "customer"),
            UserClosed(),
        ],
    )
    assert alice == User(
        "a@example.com",
        "Al",
        "$argon2id$3",
        "staff",
        "closed",
        version=7,
        sessions_ended_at=7,
        other_sessions_ended_at=4,
        kept_session=LAPTOP,
    )


def test_a_new_password_ends_all_sessions_but_the_one_that_asked() -> None:
    alice = state_of(evolve, [REGISTERED])
    [event] = change_password(alice, "$argon2id$2", LAPTOP)
    alice = evolve(alice, event)
    assert (alice.other_sessions_ended_at, alice.kept_session) == (2, LAPTOP)
    assert alice.sessions_ended_at == 0


def test_a_new_role_ends_every_session() -> None:
    alice = state_of(evolve, [REGISTERED, UserPasswordChanged("$argon2id$2", LAPTOP)])
    assert change_role(alice, "customer") == []
    [event] = change_role(alice, "auditor")
    assert event == UserRoleChanged("auditor", "customer")
    alice = evolve(alice, event)
    assert (alice.role, alice.sessions_ended_at) == ("auditor", 3)


def test_a_closed_account_stays_as_it_is() -> None:
    alice = state_of(evolve, [REGISTERED])
    assert close(alice) == [UserClosed()]
    closed = evolve(alice, UserClosed())
    with pytest.raises(AccountClosed):
        check_open(closed)
    with pytest.raises(AccountClosed):
        change_details(closed, None, None)
    with pytest.raises(AccountClosed):
        change_password(closed, "$argon2id$2", LAPTOP)
    with pytest.raises(AccountClosed):
        change_role(closed, "staff")
    with pytest.raises(AccountClosed):
        close(closed)


@pytest.mark.parametrize(
    "spelling",
    ["ANNA@example.com", " anna@example.com ", "\uff41nna@example.com", "anna@EXAMPLE.com"],
)
def test_two_spellings_of_an_address_have_one_key(spelling: str) -> None:
    assert email_key(spelling) == email_key("anna@example.com")


@given(st.text(max_size=20))
def test_the_key_of_an_address_ignores_composition_and_is_its_own_key(middle: str) -> None:
    address = f"a{middle}b@example.com"
    key = email_key(address)
    assert email_key(key) == key
    assert email_key(unicodedata.normalize("NFD", address)) == key
    assert email_key(unicodedata.normalize("NFC", address)) == key


@given(st.text())
def test_a_name_that_is_kept_is_kept_again(text: str) -> None:
    try:
        name = checked_name(text)
    except Invalid:
        return
    assert 2 <= len(name) <= 100
    assert checked_name(name) == name
