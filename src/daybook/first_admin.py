"""The first administrator: from the settings, or made up once in development."""

import asyncio
import secrets

import msgspec

from commands.execution import execute
from commands.receipts import Receipt
from commands.users.register_user import CreateAdministrator, create_administrator
from commands.work import Tools
from daybook.command_line.operator_commands import operator, operator_tools
from daybook.services import ServiceError, Services
from daybook.settings import Settings
from domain.administrators import STREAM_ID
from domain.user import EmailTaken

MADE_UP_EMAIL = "admin@daybook.example"


class NewAdmin(msgspec.Struct, frozen=True):
    """An administrator that was just made; the password is kept nowhere."""

    email: str
    password: str
    made_up: bool


def ensure_first_admin(settings: Settings, found: Services) -> NewAdmin | None:
    """Create the administrator that the settings name, if there is none; None if nothing was done.

    In development one is made up where the settings name none.
    """
    if settings.admin_email and settings.admin_password:
        admin = NewAdmin(settings.admin_email, settings.admin_password, made_up=False)
    elif settings.env == "development":
        admin = NewAdmin(MADE_UP_EMAIL, secrets.token_urlsafe(12), made_up=True)
    else:
        return None
    return admin if asyncio.run(create_unless_there(found, admin)) else None


async def create_unless_there(found: Services, admin: NewAdmin) -> bool:
    """Create the administrator if there is none at all; tell whether that was so."""
    async with operator_tools(found) as tools:
        if await tools.store.load(STREAM_ID):
            return False
        try:
            await create_with(tools, admin.email, admin.password, "Administrator")
        except EmailTaken:
            if await tools.store.load(STREAM_ID):
                return False  # another process was faster
            raise ServiceError(
                f"The first administrator cannot be made: {admin.email} belongs to a customer."
                " Choose another DAYBOOK_ADMIN_EMAIL."
            ) from None
        return True


async def create_admin(found: Services, email: str, password: str, name: str) -> Receipt[None]:
    """Open an administrator's account."""
    async with operator_tools(found) as tools:
        return await create_with(tools, email, password, name)


async def create_with(tools: Tools, email: str, password: str, name: str) -> Receipt[None]:
    """Open an administrator's account with these tools."""
    request = CreateAdministrator(email=email, password=password, name=name)
    return await execute(tools, operator(), create_administrator, request)
