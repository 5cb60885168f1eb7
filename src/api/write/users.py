"""Accounts over HTTP: register, change, password, role, close."""

from typing import Annotated
from uuid import UUID

import msgspec
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from api.envelope import Answer, Success
from api.guards import ADMIN, ANYONE, SIGNED_IN
from api.links import ID, links_to, links_to_view
from api.request import ApiRequest
from api.revocations import Revocations
from api.routes import V1, route
from api.write.intake import Intake, origin_of
from api.write.receipts import Changed, changed, check_no_body, created, gone
from api.write.texts import described, written
from commands.users.change_password import ChangePassword, change_password
from commands.users.change_role import ChangeRole, change_role
from commands.users.change_user import ChangeUser, change_user
from commands.users.close_user import CloseUser, close_user
from commands.users.register_user import RegisterUser, register_user
from domain.user import LONGEST_EMAIL, LONGEST_PASSWORD, SHORTEST_PASSWORD, Role
from event_store.reading import Revocation

TAG = "Users"
USER = f"{V1}/users/{{user_id:str}}"
REFUSALS = ("NOT_FOUND", "INVALID_STATE", "VERSION_CONFLICT", "PRECONDITION_FAILED")

OF_USER = {
    **links_to_view("showUser", "listOrdersOfUser", user_id=ID),
    **links_to("replaceUser", "changeUserDetails", "replaceRole", "removeUser", user_id=ID),
    **links_to("createOrderOfUser", user_id=ID),
}

Email = Annotated[str, described("ada@example.com", max_length=LONGEST_EMAIL, format="idn-email")]
Name = Annotated[str, written("Ada Lovelace", 100, shortest=2)]
Password = Annotated[
    str,
    msgspec.Meta(
        min_length=SHORTEST_PASSWORD, max_length=LONGEST_PASSWORD, examples=["correct horse"]
    ),
]


class Body(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """What all bodies here have in common."""


class NewUser(Body, frozen=True):
    """The account to open."""

    email: Email
    password: Password
    name: Name


class UserDetails(Body, frozen=True):
    """Everything about an account that its owner decides."""

    email: Email
    name: Name


class UserChange(Body, frozen=True):
    """What is to be another; the rest stays."""

    email: Email | msgspec.UnsetType = msgspec.UNSET
    name: Name | msgspec.UnsetType = msgspec.UNSET


class PasswordChange(Body, frozen=True):
    """The present password and the next."""

    current_password: Annotated[str, msgspec.Meta(max_length=1_024)]
    new_password: Password


class RoleChange(Body, frozen=True):
    """The role that an account is to have."""

    role: Role


@route(
    "POST",
    f"{V1}/users",
    who=ANYONE,
    summary="Register",
    tag=TAG,
    status=201,
    refusals=["EMAIL_TAKEN", "PRECONDITION_FAILED"],
    links=OF_USER,
)
async def register(
    request: ApiRequest, data: JSONBody[NewUser], intake: NamedDependency[Intake]
) -> Answer[Success[Changed]]:
    """Open a customer's account. Addresses are unique without regard to case."""
    command = RegisterUser(email=data.email, password=data.password, name=data.name)
    receipt = await intake.take(request, register_user, command)
    data_of = Changed(receipt.id, receipt.version)
    return created(receipt, f"{V1}/users/{receipt.id}", data_of)


@route(
    "PUT",
    USER,
    who=SIGNED_IN,
    summary="Replace an account's details",
    tag=TAG,
    refusals=[*REFUSALS, "EMAIL_TAKEN"],
    links=OF_USER,
)
async def replace_user(
    request: ApiRequest,
    user_id: FromPath[UUID],
    data: JSONBody[UserDetails],
    intake: NamedDependency[Intake],
) -> Answer[Success[Changed]]:
    """Replace address and name: one's own, or any as an administrator."""
    command = ChangeUser(user_id=user_id, email=data.email, name=data.name)
    return changed(await intake.take(request, change_user, command))


@route(
    "PATCH",
    USER,
    who=SIGNED_IN,
    summary="Change an account's details",
    tag=TAG,
    refusals=[*REFUSALS, "EMAIL_TAKEN"],
    links=OF_USER,
)
async def change_user_details(
    request: ApiRequest,
    user_id: FromPath[UUID],
    data: JSONBody[UserChange],
    intake: NamedDependency[Intake],
) -> Answer[Success[Changed]]:
    """Change address or name: one's own, or any as an administrator."""
    command = ChangeUser(
        user_id=user_id,
        email=None if data.email is msgspec.UNSET else data.email,
        name=None if data.name is msgspec.UNSET else data.name,
    )
    return changed(await intake.take(request, change_user, command))


@route(
    "PUT",
    f"{USER}/password",
    who=SIGNED_IN,
    summary="Change one's password",
    tag=TAG,
    refusals=[*REFUSALS, "INVALID_CREDENTIALS", "RATE_LIMITED"],
)
async def replace_password(
    request: ApiRequest,
    user_id: FromPath[UUID],
    data: JSONBody[PasswordChange],
    intake: NamedDependency[Intake],
    revocations: NamedDependency[Revocations],
) -> Answer[Success[Changed]]:
    """Change one's own password; all other sessions end."""
    command = ChangePassword(
        user_id=user_id,
        current_password=data.current_password,
        new_password=data.new_password,
        origin=origin_of(request),
    )
    receipt = await intake.take(request, change_password, command)
    kept = request.caller.session_id
    revocations.learn([Revocation(receipt.position, "user.password_changed", user_id, kept)])
    return changed(receipt)


@route(
    "PUT",
    f"{USER}/role",
    who=ADMIN,
    summary="Give an account a role",
    tag=TAG,
    refusals=REFUSALS,
    links=OF_USER,
)
async def replace_role(
    request: ApiRequest,
    user_id: FromPath[UUID],
    data: JSONBody[RoleChange],
    intake: NamedDependency[Intake],
) -> Answer[Success[Changed]]:
    """Say what an account may do; its sessions end. The last administrator stays one."""
    command = ChangeRole(user_id=user_id, role=data.role)
    return changed(await intake.take(request, change_role, command))


@route(
    "DELETE",
    USER,
    who=SIGNED_IN,
    summary="Close an account",
    tag=TAG,
    status=204,
    refusals=REFUSALS,
)
async def remove_user(
    request: ApiRequest,
    user_id: FromPath[UUID],
    intake: NamedDependency[Intake],
    revocations: NamedDependency[Revocations],
) -> Answer[None]:
    """Close one's own account, or any as an administrator; its sessions end."""
    await check_no_body(request)
    command = CloseUser(user_id=user_id)
    receipt = await intake.take(request, close_user, command)
    revocations.learn([Revocation(receipt.position, "user.closed", user_id)])
    return gone(receipt)


HANDLERS = [
    register,
    replace_user,
    change_user_details,
    replace_password,
    replace_role,
    remove_user,
]
