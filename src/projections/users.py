"""The users: who has an account, in which role, when last seen, with how many orders."""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

import msgspec
from sqlalchemy import Column, DateTime, Integer, MetaData, Table, Text, Uuid, bindparam
from sqlalchemy.dialects.postgresql import JSONB

from domain import order, session, user
from event_store.records import Recorded
from projections.listing import Listing, as_is, containing
from projections.projection import Place, Projection, Row, Rows

USERS = Table(
    "users_v1",
    MetaData(),
    Column("id", Uuid, primary_key=True),
    Column("email", Text),
    Column("name", Text),
    Column("role", Text),
    Column("status", Text),
    Column("created_at", DateTime(timezone=True)),
    Column("updated_at", DateTime(timezone=True)),
    Column("version", Integer),
    Column("last_login_at", DateTime(timezone=True)),
    Column("sessions", JSONB),  # session id -> when it expires
    Column("orders", Integer),
)


def needs(recorded: Recorded) -> Iterable[Place]:
    """Name the row of the user whom the event is about."""
    yield USERS, (subject(recorded),)


def subject(recorded: Recorded) -> UUID:
    """Return the user whom an event is about."""
    event = recorded.event
    if isinstance(event, session.Event | order.OrderPlaced | order.OrderImported):
        return event.user_id
    return recorded.stream_id


def fold(rows: Rows, recorded: Recorded) -> None:
    """Move one user's row."""
    event = recorded.event
    if isinstance(event, user.UserRegistered | user.UserImported):
        rows.put(USERS, new_row(recorded, event))
        return
    row = rows.change(USERS, subject(recorded))
    if isinstance(event, session.Event):
        fold_session(row, recorded, event)
    elif isinstance(event, order.OrderPlaced | order.OrderImported):
        row["orders"] += 1
    else:
        fold_account(row, recorded)
        row["version"] = recorded.version
        row["updated_at"] = recorded.occurred_at


def new_row(recorded: Recorded, event: user.UserRegistered | user.UserImported) -> Row:
    """Return the row of a new account."""
    return {
        "id": recorded.stream_id,
        "email": event.email,
        "name": event.name,
        "role": event.role if isinstance(event, user.UserRegistered) else "customer",
        "status": "active",
        "created_at": recorded.occurred_at,
        "updated_at": recorded.occurred_at,
        "version": recorded.version,
        "last_login_at": None,
        "sessions": {},
        "orders": 0,
    }


def fold_account(row: Row, recorded: Recorded) -> None:
    """Apply what happened to the account itself."""
    match recorded.event:
        case user.UserEmailChanged(email):
            row["email"] = email
        case user.UserRenamed(name):
            row["name"] = name
        case user.UserPasswordChanged(_, kept):
            row["sessions"] = {k: v for k, v in row["sessions"].items() if k == str(kept)}
        case user.UserRoleChanged(role):
            row["role"], row["sessions"] = role, {}
        case user.UserClosed():
            row["status"], row["sessions"] = "closed", {}


def fold_session(row: Row, recorded: Recorded, event: session.Event) -> None:
    """Apply what happened to one of the user's sessions."""
    match event:
        case session.SessionStarted():
            row["last_login_at"] = recorded.occurred_at
            row["sessions"][str(recorded.stream_id)] = event.expires_at.isoformat()
        case session.SessionRefreshed():
            row["sessions"][str(recorded.stream_id)] = event.expires_at.isoformat()
        case session.SessionEnded():
            row["sessions"].pop(str(recorded.stream_id), None)


PROJECTION = Projection(
    name="users",
    version=1,
    tables=[USERS],
    events=[
        user.UserRegistered,
        user.UserImported,
        user.UserEmailChanged,
        user.UserRenamed,
        user.UserPasswordChanged,
        user.UserPasswordRehashed,
        user.UserRoleChanged,
        user.UserClosed,
        session.SessionStarted,
        session.SessionRefreshed,
        session.SessionEnded,
        order.OrderPlaced,
        order.OrderImported,
    ],
    needs=needs,
    fold=fold,
)


class UserView(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """A user as staff and the user see it."""

    id: UUID
    email: str
    name: str
    role: user.Role
    status: user.Status
    created_at: datetime
    updated_at: datetime
    version: int


class AdminUserView(UserView, frozen=True, rename="camel", kw_only=True):
    """A user as administrators see it; `sessions` counts those that have not expired."""

    last_login_at: datetime | None
    sessions: int
    orders: int


def user_view(row: Row) -> UserView:
    """Show a row to staff."""
    return UserView(**{name: row[name] for name in UserView.__struct_fields__})


SESSIONS = msgspec.json.Decoder(dict[str, datetime])


def admin_view(row: Row, now: datetime) -> AdminUserView:
    """Show a row to an administrator."""
    open_ones = [end for end in SESSIONS.decode(row["sessions"]).values() if end > now]
    shown = {name: row[name] for name in AdminUserView.__struct_fields__}
    return AdminUserView(**shown | {"sessions": len(open_ones)})


LISTING = Listing(
    projection=PROJECTION,
    rows=USERS,
    filters={
        "email": (USERS.c.email.ilike(bindparam("email")), containing),
        "role": (USERS.c.role == bindparam("role"), as_is),
        "status": (USERS.c.status == bindparam("status"), as_is),
    },
    sorts={
        "createdAt": ["created_at"],
        "updatedAt": ["updated_at"],
        "email": ["email"],
        "name": ["name"],
        "role": ["role"],
    },
    default_sort="createdAt",
)
