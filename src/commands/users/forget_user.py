"""Forget a user: the key of all that is personal is destroyed in the transaction of the append."""

from uuid import UUID

import msgspec

from commands.aggregates import ADMINISTRATORS, USER
from commands.users.own_account import own_or_administered
from commands.work import EMAIL, Work
from domain import administrators
from domain.user import email_key, forget


class ForgetUser(msgspec.Struct, frozen=True, kw_only=True):
    """The account whose owner is to be forgotten."""

    user_id: UUID


async def forget_user(work: Work, request: ForgetUser) -> None:
    """Forget the person and close the account; the last administrator cannot be forgotten."""
    own_or_administered(work, request.user_id)
    user = await work.target(USER, request.user_id)
    work.add(request.user_id, forget(user))
    if user.status == "active":
        work.give_back(EMAIL, email_key(user.email), request.user_id)
        if user.role == "admin":
            group = await work.find(ADMINISTRATORS, administrators.STREAM_ID)
            work.add(administrators.STREAM_ID, administrators.dismiss(group, request.user_id))
