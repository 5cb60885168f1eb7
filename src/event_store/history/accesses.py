"""The auditors are audited: who asked what of the log, and how many rows they were given."""

from datetime import datetime
from typing import Any

import msgspec
from psycopg import AsyncConnection, Connection
from psycopg.rows import TupleRow

INSERT = """
insert into audit_accesses (actor_id, actor_role, request_id, action, asked, rows)
values (%s, %s, %s, %s, %s::jsonb, %s)
"""
LIST = """
select number, at, actor_id, actor_role, request_id, action, asked::text, rows
  from audit_accesses
 where (%(before)s::bigint is null or number < %(before)s)
   and (%(actor_id)s::text is null or actor_id = %(actor_id)s)
   and (%(action)s::text is null or action = %(action)s)
 order by number desc limit %(limit)s
"""


class Access(msgspec.Struct, frozen=True):
    """That somebody asks something of the log; `asked` are the words of the request."""

    actor_id: str
    actor_role: str
    request_id: str
    action: str
    asked: dict[str, Any]


class Noted(msgspec.Struct, frozen=True, rename="camel"):
    """An access that was recorded, and how many rows were given."""

    number: int
    at: datetime
    actor_id: str
    actor_role: str
    request_id: str
    action: str
    asked: msgspec.Raw
    rows: int


def values_of(access: Access, rows: int) -> list[object]:
    """Return the columns of an access."""
    asked = msgspec.json.encode(access.asked).decode()
    who = [access.actor_id, access.actor_role, access.request_id]
    return [*who, access.action, asked, rows]


def note(connection: Connection[TupleRow], access: Access, rows: int) -> None:
    """Record an access."""
    connection.execute(INSERT, values_of(access, rows))


async def note_async(connection: AsyncConnection[TupleRow], access: Access, rows: int) -> None:
    """Record an access."""
    await connection.execute(INSERT, values_of(access, rows), prepare=True)


async def noted(
    connection: AsyncConnection[TupleRow],
    *,
    limit: int,
    before: int | None = None,
    actor_id: str | None = None,
    action: str | None = None,
) -> list[Noted]:
    """Return accesses, the newest first."""
    asked = {"before": before, "actor_id": actor_id, "action": action, "limit": limit}
    rows = await (await connection.execute(LIST, asked)).fetchall()
    return [
        Noted(number, at, actor, role, request, done, msgspec.Raw(asked_.encode()), count)
        for number, at, actor, role, request, done, asked_, count in rows
    ]
