"""Register a user: anyone opens an account as a customer, the operator opens the first admin's."""

import msgspec

from commands.aggregates import ADMINISTRATORS, USER
from commands.common_passwords import check_uncommon
from commands.identifiers import new_id
from commands.users.email_address import checked_email
from commands.work import EMAIL, Work
from domain import administrators
from domain.user import Role, check_password, checked_name, email_key, register


class RegisterUser(msgspec.Struct, frozen=True, kw_only=True):
    """An account to open."""

    email: str
    password: str
    name: str


class CreateAdministrator(RegisterUser, frozen=True, kw_only=True):
    """An administrator's account to open, from the machine that Daybook runs on."""


async def register_user(work: Work, request: RegisterUser) -> None:
    """Open a customer's account; `EmailTaken` if another one has the address."""
    await open_account(work, request, "customer")


async def create_administrator(work: Work, request: CreateAdministrator) -> None:
    """Open an administrator's account."""
    group = await work.find(ADMINISTRATORS, administrators.STREAM_ID)
    await open_account(work, request, "admin")
    assert work.target_id is not None  # noqa: S101 - the account that was just opened
    work.add(administrators.STREAM_ID, administrators.appoint(group, work.target_id))


async def open_account(work: Work, request: RegisterUser, role: Role) -> None:
    """Check everything that can be checked, then pay for the hash, then open the account."""
    email = checked_email(request.email)
    check_password("password", request.password)
    check_uncommon("password", request.password, email)
    checked_name(request.name)
    password_hash = await work.tools.passwords.hash(request.password)
    user_id = new_id()
    work.create(USER, user_id, register(email, request.name, password_hash, role))
    work.claim(EMAIL, email_key(email), user_id)
