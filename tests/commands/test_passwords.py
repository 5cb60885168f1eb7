"""Passwords: how they are hashed, which are refused, and what rises with the times (S12, S13)."""

import argon2
import pytest

from commands import passwords
from commands.common_passwords import check_uncommon, common_passwords
from commands.passwords import HASHER, NOBODYS, Passwords
from domain.refusal import Invalid
from domain.user import LONGEST_PASSWORD, SHORTEST_PASSWORD, UserPasswordRehashed
from tests.commands.given import PASSWORD, registered, signed_in, user_of, working_on
from tests.event_store.asynchronous import on_a_loop

EMAIL = "ada@example.com"


@on_a_loop
async def test_a_password_is_hashed_with_argon2id_and_no_less_than_owasp_asks() -> None:
    hashes = Passwords()
    found = argon2.extract_parameters(await hashes.hash(PASSWORD))
    assert found.type == argon2.Type.ID
    assert (found.memory_cost, found.time_cost, found.parallelism) >= (19_456, 2, 1)
    assert await hashes.hash(PASSWORD) != await hashes.hash(PASSWORD)
    hashes.close()


def test_nobodys_hash_costs_what_everybodys_costs() -> None:
    assert argon2.extract_parameters(NOBODYS) == argon2.extract_parameters(HASHER.hash("x"))


@on_a_loop
async def test_a_long_password_is_hashed_whole() -> None:
    hashes = Passwords()
    stored = await hashes.hash("x" * 127 + "y")
    assert await hashes.fits(stored, "x" * 127 + "y")
    assert not await hashes.fits(stored, "x" * 127 + "z")
    hashes.close()


def test_the_most_common_passwords_are_refused_in_any_case() -> None:
    known = common_passwords()
    assert len(known) == 10_000
    assert all(SHORTEST_PASSWORD <= len(one) <= LONGEST_PASSWORD for one in known)
    for password in ("password", "12345678", "Password1", "QWERTYUIOP", "iloveyou1"):
        with pytest.raises(Invalid, match="most common"):
            check_uncommon("password", password, EMAIL)
    check_uncommon("password", PASSWORD, EMAIL)


@pytest.mark.parametrize("password", [EMAIL, "ADA@example.com", "firstname.lastname"])
def test_an_address_is_no_password(password: str) -> None:
    email = EMAIL if "@" in password else f"{password}@example.com"
    with pytest.raises(Invalid, match="e-mail"):
        check_uncommon("password", password, email)


@on_a_loop
async def test_a_sign_in_brings_an_old_hash_up_to_date(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with working_on(database_url) as tools:
        alice = await registered(tools, "old@example.com")
        before = (await user_of(tools, alice)).password_hash
        monkeypatch.setattr(passwords, "HASHER", argon2.PasswordHasher(3, 19_456, 1))
        first = await signed_in(tools, "old@example.com")
        after = (await user_of(tools, alice)).password_hash
        assert after != before
        assert "t=3" in str(after)
        assert isinstance((await tools.store.load(alice))[-1], UserPasswordRehashed)
        await signed_in(tools, "old@example.com")
        assert len(await tools.store.load(alice)) == 2
        assert len(await tools.store.load(first.session_id)) == 1
