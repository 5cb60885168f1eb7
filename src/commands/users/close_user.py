"""Close a user: the account can no longer sign in, and its e-mail address is free again."""

from uuid import UUID

import msgspec

from commands.aggregates import ADMINISTRATORS, USER
from commands.users.own_account import own_or_administered
from commands.work import EMAIL, Work
from domain import administrators
from domain.user import close, email_key


class CloseUser(msgspec.Struct, frozen=True, kw_only=True):
    """The account to close."""

    user_id: UUID


async def close_user(work: Work, request: CloseUser) -> None:
    """Close the account; the last administrator's stays open."""
    own_or_administered(work, request.user_id)
    user = await work.target(USER, request.user_id)
    work.add(request.user_id, close(user))
    work.give_back(EMAIL, email_key(user.email), request.user_id)
    if user.role == "admin":
        group = await work.find(ADMINISTRATORS, administrators.STREAM_ID)
        work.add(administrators.STREAM_ID, administrators.dismiss(group, request.user_id))
