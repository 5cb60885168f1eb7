"""The administrators: one stream for the whole system, so that it can never be left without one."""

from typing import assert_never
from uuid import UUID

import msgspec

from domain.refusal import InvalidState

STREAM_ID = UUID("00000000-0000-8000-8000-61646d696e73")  # version 8 (RFC 9562), ends in "admins"

# What happened. These names and fields are kept for ever: change an event by giving it a version.


class AdministratorAppointed(msgspec.Struct, frozen=True):
    """A user became an administrator."""

    user_id: UUID


class AdministratorDismissed(msgspec.Struct, frozen=True):
    """A user is no longer an administrator."""

    user_id: UUID


Event = AdministratorAppointed | AdministratorDismissed


# What it is now.


class Administrators(msgspec.Struct, frozen=True):
    """Those who are administrators."""

    members: frozenset[UUID] = frozenset()


def evolve(administrators: Administrators | None, event: Event) -> Administrators:
    """Fold one more event into the group."""
    members = administrators.members if administrators else frozenset[UUID]()
    match event:
        case AdministratorAppointed(user_id):
            return Administrators(members | {user_id})
        case AdministratorDismissed(user_id):
            return Administrators(members - {user_id})
        case _:
            assert_never(event)


# What may happen next.


class LastAdministrator(InvalidState):
    """Nobody would be left to administer the system."""

    sentence = "This is the last administrator: appoint another one first."


def appoint(administrators: Administrators | None, user_id: UUID) -> list[Event]:
    """Make a user an administrator."""
    if administrators and user_id in administrators.members:
        return []
    return [AdministratorAppointed(user_id)]


def dismiss(administrators: Administrators | None, user_id: UUID) -> list[Event]:
    """Take a user out of the group unless it is the last one in it."""
    if administrators is None or user_id not in administrators.members:
        return []
    if administrators.members == {user_id}:
        raise LastAdministrator
    return [AdministratorDismissed(user_id)]
