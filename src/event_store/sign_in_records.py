"""Reading the records of sign-ins: by account, user, address, kind and time, newest first."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, get_args
from uuid import UUID

import msgspec
from psycopg import AsyncConnection, sql
from psycopg.rows import TupleRow

from event_store.sign_ins import Kind

KINDS: tuple[str, ...] = get_args(Kind)
COLUMNS = "number, at, kind, user_id, session_id, account, address, agent, request_id"
# Each has an index; the time goes with any of them.
CONDITIONS = {
    "kind": "kind = %(kind)s",
    "user_id": "user_id = %(user_id)s",
    "account": "account = %(account)s",
    "address": "address = %(address)s",
    "since": "at >= %(since)s",
    "until": "at < %(until)s",
    "before": "number < %(before)s",
    "after": "number > %(after)s",
}


class SignIn(msgspec.Struct, frozen=True, kw_only=True):
    """One record. `account` is a keyed hash of the e-mail address: equal for equal addresses."""

    number: int
    at: datetime
    kind: str
    user_id: UUID | None
    session_id: UUID | None
    account: str | None
    address: str
    agent: str
    request_id: str


class SignInQuery(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked; None: any. `before` and `after` are numbers of records, one at most."""

    kind: str | None = None
    user_id: UUID | None = None
    account: str | None = None
    address: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    before: int | None = None
    after: int | None = None
    limit: int = 20


def statement(asked: SignInQuery) -> tuple[sql.Composed, dict[str, Any]]:
    """Return the query, which asks for one record more than is wanted, and its parameters."""
    given = {name: getattr(asked, name) for name in CONDITIONS}
    conditions = [sql.SQL(CONDITIONS[name]) for name, one in given.items() if one is not None]
    where = sql.SQL(" and ").join(conditions) if conditions else sql.SQL("true")
    order = "asc" if asked.after is not None else "desc"
    query = sql.SQL("select {} from sign_ins where {} order by number {} limit %(limit)s").format(
        sql.SQL(COLUMNS), where, sql.SQL(order)
    )
    return query, {**given, "limit": asked.limit + 1}


def records(rows: Sequence[TupleRow], asked: SignInQuery) -> tuple[list[SignIn], bool]:
    """Return the records, newest first, and whether there are more in the direction asked for."""
    fields = SignIn.__struct_fields__
    found = [SignIn(**dict(zip(fields, row, strict=True))) for row in rows[: asked.limit]]
    more = len(rows) > asked.limit
    return (found[::-1] if asked.after is not None else found), more


async def sign_ins_async(
    connection: AsyncConnection[TupleRow], asked: SignInQuery
) -> tuple[list[SignIn], bool]:
    """Return what is asked for: see `records`."""
    cursor = await connection.execute(*statement(asked))
    return records(await cursor.fetchall(), asked)
