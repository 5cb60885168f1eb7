"""Change a password: by its owner, who knows the present one. All other sessions end."""

from uuid import UUID

import msgspec

from commands.aggregates import USER
from commands.common_passwords import check_uncommon
from commands.users.own_account import own
from commands.work import Work
from domain import user as domain
from domain.session import InvalidCredentials, Unauthenticated
from event_store.sign_ins import Origin


class ChangePassword(msgspec.Struct, frozen=True, kw_only=True):
    """The present password and the next, and from where they come."""

    user_id: UUID
    current_password: str
    new_password: str
    origin: Origin = Origin()


async def change_password(work: Work, request: ChangePassword) -> None:
    """Replace the password; `InvalidCredentials` if the present one is another.

    That counts as a sign-in that failed: `TooManyFailures`.
    """
    own(work, request.user_id)
    domain.check_password("newPassword", request.new_password)
    # Proven, or a refusal would be decided, hashed and counted twice.
    user = await work.target(USER, request.user_id, proven=True)
    domain.check_open(user)
    check_uncommon("newPassword", request.new_password, user.email)
    await work.tools.door.check(user.email, request.origin)
    if not await work.tools.passwords.fits(user.password_hash, request.current_password):
        if not await work.is_repetition():  # of a change that was made, by a client without answer
            await work.tools.door.failed(user.email, request.origin, request.user_id)
        raise InvalidCredentials("The current password is wrong.")
    if work.asker.session_id is None:
        raise Unauthenticated
    password_hash = await work.tools.passwords.hash(request.new_password)
    work.add(request.user_id, domain.change_password(user, password_hash, work.asker.session_id))
