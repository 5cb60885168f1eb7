"""Change a role: administrators say what an account may do; its sessions end."""

from uuid import UUID

import msgspec

from commands.aggregates import ADMINISTRATORS, USER
from commands.work import Work
from domain import administrators
from domain.user import Role
from domain.user import change_role as decide


class ChangeRole(msgspec.Struct, frozen=True, kw_only=True):
    """The role that an account is to have."""

    user_id: UUID
    role: Role


async def change_role(work: Work, request: ChangeRole) -> None:
    """Give the account another role; `LastAdministrator` rather than leave the system without."""
    user = await work.target(USER, request.user_id)
    work.add(request.user_id, decide(user, request.role))
    if "admin" not in {user.role, request.role}:
        return
    group = await work.find(ADMINISTRATORS, administrators.STREAM_ID)
    move = administrators.appoint if request.role == "admin" else administrators.dismiss
    work.add(administrators.STREAM_ID, move(group, request.user_id))
