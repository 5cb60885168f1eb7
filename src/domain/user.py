"""A user: an account that people sign in to, with a role and, unless imported, a password."""

import unicodedata
from typing import Literal, assert_never
from uuid import UUID

import msgspec

from domain.personal import FORGOTTEN, Personal
from domain.plain_text import checked_text
from domain.refusal import Invalid, InvalidState, Refusal

Role = Literal["customer", "staff", "auditor", "admin"]
Status = Literal["active", "closed", "forgotten"]

SHORTEST_PASSWORD, LONGEST_PASSWORD = 8, 128
LONGEST_EMAIL = 254  # RFC 5321, 4.5.3.1.3: a path of 256 octets less the angle brackets

# What happened. These names and fields are kept for ever: change an event by giving it a version.


class UserRegistered(msgspec.Struct, frozen=True):
    """Somebody opened an account. `password_hash` is an argon2id string in PHC form."""

    email: Personal
    name: Personal
    password_hash: Personal
    role: Role


class UserImported(msgspec.Struct, frozen=True):
    """A customer came from another system, under its reference there, without a password."""

    email: Personal
    name: Personal
    reference: Personal


class UserEmailChanged(msgspec.Struct, frozen=True):
    """The account has another e-mail address."""

    email: Personal


class UserRenamed(msgspec.Struct, frozen=True):
    """The person has another name."""

    name: Personal


class UserPasswordChanged(msgspec.Struct, frozen=True):
    """The password is another one; all sessions but `kept_session` ended with the old one."""

    password_hash: Personal
    kept_session: UUID


class UserPasswordRehashed(msgspec.Struct, frozen=True):
    """The same password is kept under a hash that is harder to guess from; no session ended."""

    password_hash: Personal


class UserRoleChanged(msgspec.Struct, frozen=True):
    """The account may do other things from now on; its sessions ended."""

    role: Role
    previous: Role


class UserClosed(msgspec.Struct, frozen=True):
    """The account is closed for good; its sessions ended."""


class UserForgotten(msgspec.Struct, frozen=True):
    """The person is forgotten: the key of what was personal is destroyed; the sessions ended."""


Event = (
    UserRegistered
    | UserImported
    | UserEmailChanged
    | UserRenamed
    | UserPasswordChanged
    | UserPasswordRehashed
    | UserRoleChanged
    | UserClosed
    | UserForgotten
)


# What it is now.


class User(msgspec.Struct, frozen=True):
    """The account as the events left it.

    Sessions from before version `sessions_ended_at` have ended, and those from before
    `other_sessions_ended_at` unless it is `kept_session`.
    """

    email: Personal
    name: Personal
    password_hash: Personal | None
    role: Role
    status: Status = "active"
    version: int = 1
    sessions_ended_at: int = 0
    other_sessions_ended_at: int = 0
    kept_session: UUID | None = None


def evolve(user: User | None, event: Event) -> User:  # noqa: PLR0911 - one answer for each event
    """Fold one more event into the account."""
    match event:
        case UserRegistered(email, name, password_hash, role):
            return User(email, name, password_hash, role)
        case UserImported(email, name):
            return User(email, name, None, "customer")
    assert user is not None  # noqa: S101 - the log checks versions: a stream begins with its beginning
    version = user.version + 1
    change = msgspec.structs.replace
    match event:
        case UserEmailChanged(email):
            return change(user, email=email, version=version)
        case UserRenamed(name):
            return change(user, name=name, version=version)
        case UserPasswordChanged(hashed, kept):
            return change(
                user,
                password_hash=hashed,
                version=version,
                other_sessions_ended_at=version,
                kept_session=kept,
            )
        case UserPasswordRehashed(hashed):
            return change(user, password_hash=hashed, version=version)
        case UserRoleChanged(role):
            return change(user, role=role, version=version, sessions_ended_at=version)
        case UserClosed():
            return change(user, status="closed", version=version, sessions_ended_at=version)
        case UserForgotten():
            return change(
                user,
                email=FORGOTTEN,
                name=FORGOTTEN,
                password_hash=None,
                status="forgotten",
                version=version,
                sessions_ended_at=version,
            )
        case _:
            assert_never(event)


def subject_of(user_id: UUID, _: User) -> UUID:
    """Return whom an account's personal fields are about: its owner."""
    return user_id


# What may happen next.


class EmailTaken(Refusal):
    """The e-mail address belongs to another account."""

    code = "EMAIL_TAKEN"
    sentence = "This e-mail address belongs to another account."


class AccountClosed(InvalidState):
    """The account is closed."""

    sentence = "This account is closed."


def email_key(email: str) -> str:
    """Return the form in which two spellings of one address are equal (case, Unicode NFKC)."""
    folded = unicodedata.normalize("NFKC", email.strip()).casefold()
    return unicodedata.normalize("NFKC", folded)


def checked_name(name: str) -> str:
    """Return the name trimmed; at least two characters are left of it."""
    return checked_text("name", name, shortest=2, longest=100)


def check_password(field: str, password: str) -> None:
    """Refuse a password outside 8 to 128 characters. There are no composition rules."""
    if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
        raise Invalid.field(field, "A password has 8 to 128 characters.")
    try:
        password.encode()
    except UnicodeEncodeError:
        raise Invalid.field(field, "The password is not valid Unicode.") from None


def register(email: str, name: str, password_hash: str, role: Role = "customer") -> list[Event]:
    """Open an account."""
    return [UserRegistered(email, checked_name(name), password_hash, role)]


def change_details(user: User, email: str | None, name: str | None) -> list[Event]:
    """Give the account another address or name; None and what is the same stay as they are."""
    check_open(user)
    events: list[Event] = []
    if email is not None and email != user.email:
        events.append(UserEmailChanged(email))
    if name is not None and checked_name(name) != user.name:
        events.append(UserRenamed(checked_name(name)))
    return events


def change_password(user: User, password_hash: str, session: UUID) -> list[Event]:
    """Replace the password and end every session but the one that asks."""
    check_open(user)
    return [UserPasswordChanged(password_hash, session)]


def rehash(user: User, password_hash: str) -> list[Event]:
    """Keep the same password under another hash."""
    check_open(user)
    return [UserPasswordRehashed(password_hash)]


def change_role(user: User, role: Role) -> list[Event]:
    """Let the account do other things; the same role again is no event."""
    check_open(user)
    return [] if role == user.role else [UserRoleChanged(role, user.role)]


def close(user: User) -> list[Event]:
    """Close the account."""
    check_open(user)
    return [UserClosed()]


def forget(user: User) -> list[Event]:
    """Forget the person; once is enough."""
    return [] if user.status == "forgotten" else [UserForgotten()]


def check_open(user: User) -> None:
    """Refuse if the account is closed, or its owner is forgotten."""
    if user.status != "active":
        raise AccountClosed
