"""Import a customer: an account without a password for somebody known in another system."""

from uuid import UUID

import msgspec

from commands.aggregates import USER
from commands.work import EMAIL, Work
from domain.user import UserImported, checked_name, email_key


class ImportCustomer(msgspec.Struct, frozen=True, kw_only=True):
    """The customer; `user_id` derives from the reference, so that a second import adds nothing."""

    user_id: UUID
    reference: str
    email: str
    name: str


async def import_customer(work: Work, request: ImportCustomer) -> None:
    """Open the account; a `VersionConflict` says that it was imported before."""
    event = UserImported(request.email, checked_name(request.name), request.reference)
    work.create(USER, request.user_id, [event])
    work.claim(EMAIL, email_key(request.email), request.user_id)
