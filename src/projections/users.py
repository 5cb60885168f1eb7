"""The users: who has an account, in which role, when last seen, with how many orders."""

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from uuid import UUID

import msgspec
from sqlalchemy import Column, DateTime, Integer, MetaData, Table, Text, Uuid, bindparam
from sqlalchemy.dialects.postgresql import JSONB

from domain import order, session, user
from domain.personal import FORGOTTEN
from event_store.records import Recorded
from projections.addresses import has_in_address
from projections.amounts import MoneyView, plain_digits
from projections.listing import Listing, as_is, containing
from projections.projection import Place, Projection, Row, Rows
from projections.sales import booking_of

USERS = Table(
    "users_v2",
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
    Column("spent", JSONB),  # currency -> the sum of all orders but those undone
    Column("last_order", JSONB),
)


class LastOrderView(msgspec.Struct, frozen=True, rename="camel"):
    """The order that was placed last, as it is stored."""

    id: UUID
    placed_at: datetime
    total: MoneyView


def needs(recorded: Recorded) -> Iterable[Place]:
    """Name the row of the user whom the event is about."""
    yield USERS, (subject(recorded),)


def subject(recorded: Recorded) -> UUID:
    """Return the user whom an event is about."""
    event = recorded.event
    if isinstance(event, session.Event):
        return event.user_id
    booking = booking_of(recorded)
    return booking[0].user_id if booking else recorded.stream_id


def fold(rows: Rows, recorded: Recorded) -> None:
    """Move one user's row."""
    event = recorded.event
    if isinstance(event, order.OrderRefunded) and event.sale is None:
        return  # it was taken out when it was cancelled
    if isinstance(event, user.UserRegistered | user.UserImported):
        rows.put(USERS, new_row(recorded, event))
        return
    row = rows.change(USERS, subject(recorded))
    if isinstance(event, session.Event):
        fold_session(row, recorded, event)
    elif booking := booking_of(recorded):
        fold_order(row, recorded, *booking)
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
        "spent": {},
        "last_order": None,
    }


def fold_order(row: Row, recorded: Recorded, sale: order.Sale, sign: int) -> None:
    """Count an order that was placed (1), or take back what one has cost (-1)."""
    currency = sale.total.currency
    spent = Decimal(row["spent"].get(currency, "0")) + sign * sale.total.amount
    row["spent"] = {**row["spent"], currency: plain_digits(spent, currency)}
    if sign < 0:
        return
    row["orders"] += 1
    last = row["last_order"]
    if last is None or datetime.fromisoformat(last["placedAt"]) <= sale.placed_at:
        row["last_order"] = {
            "id": str(recorded.stream_id),
            "placedAt": sale.placed_at.isoformat(),
            "total": {"amount": plain_digits(sale.total.amount, currency), "currency": currency},
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
        case user.UserForgotten():
            row["email"] = row["name"] = FORGOTTEN
            row["status"], row["sessions"], row["last_login_at"] = "forgotten", {}, None


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
    version=2,
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
        user.UserForgotten,
        session.SessionStarted,
        session.SessionRefreshed,
        session.SessionEnded,
        order.OrderPlaced,
        order.OrderImported,
        order.OrderCancelled,
        order.OrderRefunded,
    ],
    key="id",
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


class OrderSummaryView(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """A user's orders; `totalSpent`, by currency, is without those cancelled or refunded since."""

    count: int
    total_spent: list[MoneyView]
    last_order: LastOrderView | None


class UserV2View(UserView, frozen=True, rename="camel", kw_only=True):
    """A user and their orders in short."""

    order_summary: OrderSummaryView


class AdminUserV2View(UserV2View, frozen=True, rename="camel", kw_only=True):
    """The same as administrators see it; `sessions` counts those that have not expired."""

    last_login_at: datetime | None
    sessions: int


def user_view(row: Row) -> UserView:
    """Show a row to staff."""
    return UserView(**{name: row[name] for name in UserView.__struct_fields__})


SESSIONS = msgspec.json.Decoder(dict[str, datetime])


SPENT = msgspec.json.Decoder(dict[str, str])
LAST_ORDER = msgspec.json.Decoder(LastOrderView)


def admin_view(row: Row, now: datetime) -> AdminUserView:
    """Show a row to an administrator."""
    shown = {name: row[name] for name in AdminUserView.__struct_fields__}
    return AdminUserView(**shown | {"sessions": open_sessions(row, now)})


def open_sessions(row: Row, now: datetime) -> int:
    """Count the sessions of a row that have not expired."""
    return sum(end > now for end in SESSIONS.decode(row["sessions"]).values())


def order_summary(row: Row) -> OrderSummaryView:
    """Return the orders of a row in short."""
    spent = sorted(SPENT.decode(row["spent"]).items())
    return OrderSummaryView(
        count=row["orders"],
        total_spent=[MoneyView(amount, currency) for currency, amount in spent],
        last_order=row["last_order"] and LAST_ORDER.decode(row["last_order"]),
    )


def user_v2_view(row: Row) -> UserV2View:
    """Show a row in version 2."""
    shown = {name: row[name] for name in UserView.__struct_fields__}
    return UserV2View(**shown, order_summary=order_summary(row))


def admin_v2_view(row: Row, now: datetime) -> AdminUserV2View:
    """Show a row to an administrator in version 2."""
    shown = {name: row[name] for name in UserView.__struct_fields__}
    return AdminUserV2View(
        **shown,
        order_summary=order_summary(row),
        last_login_at=row["last_login_at"],
        sessions=open_sessions(row, now),
    )


LISTING = Listing(
    projection=PROJECTION,
    rows=USERS,
    filters={
        "email": (has_in_address(USERS.c.email, bindparam("email", type_=Text)), containing),
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
    personal=frozenset({"email", "name"}),
)
