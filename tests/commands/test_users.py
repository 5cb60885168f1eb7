"""Accounts through the log: one for an address, always an administrator, sessions that end."""

import asyncio
import unicodedata
from uuid import UUID, uuid4

import pytest

from commands.execution import create_once, execute
from commands.sessions.log_in import SignedIn
from commands.sessions.refresh_session import RefreshSession, refresh_session
from commands.users.change_password import ChangePassword, change_password
from commands.users.change_role import ChangeRole, change_role
from commands.users.change_user import ChangeUser, change_user
from commands.users.close_user import CloseUser, close_user
from commands.users.import_customer import ImportCustomer, import_customer
from commands.users.register_user import (
    CreateAdministrator,
    RegisterUser,
    create_administrator,
    register_user,
)
from domain.administrators import STREAM_ID, LastAdministrator
from domain.refusal import Forbidden, Invalid, NotFound
from domain.session import InvalidCredentials, Unauthenticated
from domain.user import AccountClosed, EmailTaken
from tests.commands.given import (
    ADMIN,
    ANYONE,
    PASSWORD,
    STAFF,
    SYSTEM,
    administrator,
    asking,
    outcomes,
    registered,
    role_given,
    signed_in,
    user_of,
    working_on,
)
from tests.event_store.asynchronous import on_a_loop
from tests.event_store.given import rows

CAFE = "caf\u00e9@example.com"
SPELLINGS = [
    CAFE,
    unicodedata.normalize("NFD", CAFE),
    CAFE.upper(),
    unicodedata.normalize("NFD", CAFE.upper()),
    "Caf\u00e9@Example.COM",
    f" {CAFE} ",
]


def registering(email: str, password: str = PASSWORD, name: str = "Alice") -> RegisterUser:
    """Return a request to open an account."""
    return RegisterUser(email=email, password=password, name=name)


@on_a_loop
async def test_an_account_is_opened_with_a_clean_address_and_name(database_url: str) -> None:
    async with working_on(database_url) as tools:
        request = registering(" Alice@EXAMPLE.com ", name=" Alice ")
        receipt = await execute(tools, ANYONE, register_user, request)
        user = await user_of(tools, receipt.id)
        assert (user.email, user.name, user.role) == ("Alice@example.com", "Alice", "customer")
        assert user.password_hash is not None
        assert user.password_hash.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert PASSWORD not in str(rows(database_url, "select data from events"))


@pytest.mark.parametrize(
    "email",
    [
        "",
        "alice",
        "alice@",
        "@example.com",
        "alice@localhost",
        "a b@example.com",
        "alice@example.com\r\nBcc: bob@example.com",
        "alice\x00@example.com",
        "ali\ud800ce@example.com",
        f"{'a' * 64}@{'b' * 63}.{'c' * 63}.{'d' * 63}.com",
        "alice@[127.0.0.1]",
    ],
)
@on_a_loop
async def test_what_is_no_address_opens_no_account(database_url: str, email: str) -> None:
    async with working_on(database_url) as tools:
        with pytest.raises(Invalid) as refused:
            await execute(tools, ANYONE, register_user, registering(email))
        assert refused.value.details[0].field == "email"
        assert await tools.store.head() == 0


@on_a_loop
async def test_what_is_no_password_or_name_opens_no_account(database_url: str) -> None:
    async with working_on(database_url) as tools:
        for request in (
            registering("alice@example.com", password="short"),
            registering("alice@example.com", name=" A "),
        ):
            with pytest.raises(Invalid):
                await execute(tools, ANYONE, register_user, request)
        await registered(tools, "alice@example.com")


@pytest.mark.parametrize("spelling", SPELLINGS)
@on_a_loop
async def test_an_address_has_one_account_however_it_is_spelt(
    database_url: str, spelling: str
) -> None:
    async with working_on(database_url) as tools:
        await registered(tools, CAFE)
        with pytest.raises(EmailTaken):
            await execute(tools, ANYONE, register_user, registering(spelling))
        assert await tools.store.head() == 1


@on_a_loop
async def test_of_registrations_at_once_one_gets_the_address(database_url: str) -> None:
    async with working_on(database_url) as one, working_on(database_url) as other:
        got = await outcomes(
            [
                execute(tools, ANYONE, register_user, registering(spelling))
                for tools in (one, other)
                for spelling in SPELLINGS
            ]
        )
        assert got == ["EmailTaken"] * (2 * len(SPELLINGS) - 1) + ["Receipt"]
        assert await one.store.head() == 1


@on_a_loop
async def test_an_owner_or_administrator_changes_an_account(database_url: str) -> None:
    async with working_on(database_url) as tools:
        alice = await registered(tools)
        request = ChangeUser(user_id=alice, email="a@example.com", name="Al")
        receipt = await execute(tools, asking("customer", alice), change_user, request)
        assert receipt.version == 3
        await execute(tools, ADMIN, change_user, ChangeUser(user_id=alice, name="Alice"))
        user = await user_of(tools, alice)
        assert (user.email, user.name) == ("a@example.com", "Alice")


@on_a_loop
async def test_others_do_not_know_of_an_account_and_staff_may_not_change_it(
    database_url: str,
) -> None:
    async with working_on(database_url) as tools:
        alice = await registered(tools)
        mallory = asking("customer", uuid4())
        for asker, refusal in ((mallory, NotFound), (STAFF, Forbidden)):
            with pytest.raises(refusal):
                await execute(tools, asker, change_user, ChangeUser(user_id=alice, name="Al"))
            with pytest.raises(refusal):
                await execute(tools, asker, close_user, CloseUser(user_id=alice))
            with pytest.raises(refusal):
                await execute(tools, asker, change_password, changing_password(alice))
        with pytest.raises(Forbidden):
            await execute(tools, ADMIN, change_password, changing_password(alice))


@on_a_loop
async def test_another_accounts_address_cannot_be_taken_over(database_url: str) -> None:
    async with working_on(database_url) as tools:
        alice, bob = await registered(tools), await registered(tools, "bob@example.com")
        request = ChangeUser(user_id=bob, email="ALICE@example.com", name="Robert")
        with pytest.raises(EmailTaken):
            await execute(tools, ADMIN, change_user, request)
        assert (await user_of(tools, bob)).name == "Alice"
        await execute(tools, ADMIN, change_user, ChangeUser(user_id=alice, email="a@example.com"))
        await execute(tools, ADMIN, change_user, request)
        assert (await user_of(tools, bob)).email == "ALICE@example.com"


@on_a_loop
async def test_one_may_spell_ones_own_address_otherwise(database_url: str) -> None:
    async with working_on(database_url) as tools:
        alice = await registered(tools)
        await execute(
            tools, ADMIN, change_user, ChangeUser(user_id=alice, email="Alice@example.com")
        )
        assert (await user_of(tools, alice)).email == "Alice@example.com"
        with pytest.raises(EmailTaken):
            await registered(tools, "alice@example.com")


@on_a_loop
async def test_of_accounts_that_want_one_address_at_once_one_gets_it(database_url: str) -> None:
    async with working_on(database_url) as tools:
        accounts = [await registered(tools, f"user{number}@example.com") for number in range(4)]
        got = await outcomes(
            [
                execute(tools, ADMIN, change_user, ChangeUser(user_id=one, email="new@example.com"))
                for one in accounts
            ]
        )
        assert got == ["EmailTaken"] * 3 + ["Receipt"]


@on_a_loop
async def test_an_account_that_is_not_there_is_not_found(database_url: str) -> None:
    async with working_on(database_url) as tools:
        with pytest.raises(NotFound):
            await execute(tools, ADMIN, change_user, ChangeUser(user_id=uuid4(), name="Al"))
        with pytest.raises(NotFound):
            await execute(tools, ADMIN, close_user, CloseUser(user_id=uuid4()))
        with pytest.raises(NotFound):
            await role_given(tools, uuid4(), "staff")


def changing_password(
    user_id: UUID, current: str = PASSWORD, new: str = "new password"
) -> ChangePassword:
    """Return a request to change a password."""
    return ChangePassword(user_id=user_id, current_password=current, new_password=new)


@on_a_loop
async def test_a_new_password_ends_every_session_but_the_one_that_asks(database_url: str) -> None:
    async with working_on(database_url) as tools:
        alice = await registered(tools)
        laptop, phone = await signed_in(tools), await signed_in(tools)
        asker = asking("customer", alice, laptop.session_id)
        await execute(tools, asker, change_password, changing_password(alice))
        with pytest.raises(Unauthenticated):
            await execute(
                tools, ANYONE, refresh_session, RefreshSession(refresh_token=phone.refresh_token)
            )
        await execute(
            tools, ANYONE, refresh_session, RefreshSession(refresh_token=laptop.refresh_token)
        )
        with pytest.raises(InvalidCredentials):
            await signed_in(tools)
        await signed_in(tools, password="new password")


@on_a_loop
async def test_a_password_is_changed_by_who_knows_it_and_is_signed_in(database_url: str) -> None:
    async with working_on(database_url) as tools:
        alice = await registered(tools)
        session = await signed_in(tools)
        asker = asking("customer", alice, session.session_id)
        with pytest.raises(InvalidCredentials):
            await execute(tools, asker, change_password, changing_password(alice, "wrong one"))
        with pytest.raises(Invalid):
            await execute(tools, asker, change_password, changing_password(alice, new="short"))
        with pytest.raises(Unauthenticated):
            await execute(
                tools, asking("customer", alice), change_password, changing_password(alice)
            )
        await signed_in(tools)


@on_a_loop
async def test_a_sign_in_with_the_old_password_does_not_outlive_a_change(
    database_url: str,
) -> None:
    async with working_on(database_url) as tools:
        alice = await registered(tools)
        asker = asking("customer", alice, (await signed_in(tools)).session_id)
        changing = execute(tools, asker, change_password, changing_password(alice))
        signing = [signed_in(tools) for _ in range(6)]
        answers = await asyncio.gather(*signing, changing, return_exceptions=True)
        for answer in answers[:-1]:
            if not isinstance(answer, SignedIn):
                assert isinstance(answer, InvalidCredentials)
                continue
            request = RefreshSession(refresh_token=answer.refresh_token)
            with pytest.raises(Unauthenticated):
                await execute(tools, ANYONE, refresh_session, request)


@on_a_loop
async def test_a_new_role_ends_every_session(database_url: str) -> None:
    async with working_on(database_url) as tools:
        alice = await registered(tools)
        session = await signed_in(tools)
        await role_given(tools, alice, "customer")
        request = RefreshSession(refresh_token=session.refresh_token)
        session = (await execute(tools, ANYONE, refresh_session, request)).answer
        await role_given(tools, alice, "staff")
        request = RefreshSession(refresh_token=session.refresh_token)
        with pytest.raises(Unauthenticated):
            await execute(tools, ANYONE, refresh_session, request)
        assert (await signed_in(tools)).role == "staff"


@on_a_loop
async def test_the_last_administrator_can_neither_be_demoted_nor_closed(database_url: str) -> None:
    async with working_on(database_url) as tools:
        root, alice = await administrator(tools), await registered(tools)
        with pytest.raises(LastAdministrator):
            await role_given(tools, root, "staff")
        with pytest.raises(LastAdministrator):
            await execute(tools, ADMIN, close_user, CloseUser(user_id=root))
        assert (await user_of(tools, root)).status == "active"
        await role_given(tools, alice, "admin")
        await role_given(tools, root, "staff")
        with pytest.raises(LastAdministrator):
            await role_given(tools, alice, "customer")


@on_a_loop
async def test_administrators_who_demote_each_other_at_once_leave_one(database_url: str) -> None:
    async with working_on(database_url) as one, working_on(database_url) as other:
        group = [await administrator(one, f"root{number}@example.com") for number in range(4)]
        got = await outcomes(
            [
                execute(tools, ADMIN, change_role, ChangeRole(user_id=user_id, role="staff"))
                if number % 2
                else execute(tools, ADMIN, close_user, CloseUser(user_id=user_id))
                for number, user_id in enumerate(group)
                for tools in (one, other)
            ]
        )
        left = [await user_of(one, user_id) for user_id in group]
        assert "LastAdministrator" in got
        assert [(u.role, u.status) for u in left].count(("admin", "active")) == 1
        assert len(await one.store.load(STREAM_ID)) == 4 + 3


@on_a_loop
async def test_administrators_are_created_at_once_without_losing_one(database_url: str) -> None:
    async with working_on(database_url) as tools:
        await asyncio.gather(*(administrator(tools, f"root{n}@example.com") for n in range(5)))
        assert len(await tools.store.load(STREAM_ID)) == 5


@on_a_loop
async def test_an_administrator_needs_an_address_of_their_own(database_url: str) -> None:
    async with working_on(database_url) as tools:
        await registered(tools)
        request = CreateAdministrator(email="alice@example.com", password=PASSWORD, name="Root")
        with pytest.raises(EmailTaken):
            await execute(tools, SYSTEM, create_administrator, request)
        assert await tools.store.load(STREAM_ID) == []


@on_a_loop
async def test_a_closed_account_cannot_be_used_and_frees_its_address(database_url: str) -> None:
    async with working_on(database_url) as tools:
        alice = await registered(tools)
        session = await signed_in(tools)
        asker = asking("customer", alice, session.session_id)
        await execute(tools, asker, close_user, CloseUser(user_id=alice))
        with pytest.raises(Unauthenticated):
            await execute(
                tools, ANYONE, refresh_session, RefreshSession(refresh_token=session.refresh_token)
            )
        with pytest.raises(InvalidCredentials):
            await signed_in(tools)
        with pytest.raises(AccountClosed):
            await execute(tools, asker, close_user, CloseUser(user_id=alice))
        with pytest.raises(AccountClosed):
            await execute(tools, asker, change_user, ChangeUser(user_id=alice, email="b@x.com"))
        with pytest.raises(AccountClosed):
            await execute(tools, asker, change_password, changing_password(alice))
        with pytest.raises(AccountClosed):
            await role_given(tools, alice, "admin")
        assert await registered(tools) != alice


@on_a_loop
async def test_a_customer_is_imported_once_and_cannot_sign_in(database_url: str) -> None:
    async with working_on(database_url) as tools:
        request = ImportCustomer(
            user_id=uuid4(),
            reference="17850",
            email="customer-17850@imported.invalid",
            name="Customer 17850",
        )
        assert await create_once(tools, SYSTEM, import_customer, request)
        assert await create_once(tools, SYSTEM, import_customer, request) is None
        assert await tools.store.head() == 1
        for password in ("", PASSWORD):
            with pytest.raises(InvalidCredentials):
                await signed_in(tools, request.email, password)
        asker = asking("customer", request.user_id, uuid4())
        with pytest.raises(InvalidCredentials):
            await execute(tools, asker, change_password, changing_password(request.user_id))
