"""Change a user: another e-mail address, another name."""

from uuid import UUID

import msgspec

from commands.aggregates import USER
from commands.users.email_address import checked_email
from commands.users.own_account import own_or_administered
from commands.work import EMAIL, Work
from domain.user import change_details, email_key


class ChangeUser(msgspec.Struct, frozen=True, kw_only=True):
    """What an account is to be; None stays as it is."""

    user_id: UUID
    email: str | None = None
    name: str | None = None


async def change_user(work: Work, request: ChangeUser) -> None:
    """Change the account's details; `EmailTaken` if another account has the address."""
    own_or_administered(work, request.user_id)
    user = await work.target(USER, request.user_id)
    email = None if request.email is None else checked_email(request.email)
    work.add(request.user_id, change_details(user, email, request.name))
    if email is not None and email_key(email) != email_key(user.email):
        work.claim(EMAIL, email_key(email), request.user_id)
        work.give_back(EMAIL, email_key(user.email), request.user_id)
