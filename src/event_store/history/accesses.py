"""The auditors are audited: who asked what of the log, and how many rows they were given.

Erasures and what operators ask for are in the same list; the log's trigger puts them there.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal, get_args

import msgspec
from psycopg import AsyncConnection, Connection
from psycopg.rows import TupleRow

from event_store.event_types import EVENT_TYPES

Kind = Literal["question", "export", "verification", "erasure", "operation"]
KINDS: tuple[Kind, ...] = get_args(Kind)

INSERT = """
insert into audit_accesses (kind, actor_id, actor_role, request_id, action, asked, rows)
values (%s, %s, %s, %s, %s, %s::jsonb, %s)
"""
LIST = """
select number, at, kind, actor_id, actor_role, request_id, action, asked::text, rows
  from audit_accesses
 where (%(before)s::bigint is null or number < %(before)s)
   and (%(kind)s::text is null or kind = %(kind)s)
   and (%(actor_id)s::text is null or actor_id = %(actor_id)s)
   and (%(action)s::text is null or action = %(action)s)
 order by number desc limit %(limit)s
"""

WITHHELD = "(withheld)"
# Ids, numbers, times, and names such as order.placed: no sentences, and nobody's address.
PLAIN = re.compile(r"[A-Za-z0-9_.:+/-]{1,100}")
EVENT_NAME = re.compile(r"[a-z_]+\.[a-z_]+")
PERSONAL = frozenset(
    {field for fields in EVENT_TYPES.sealed.values() for field in fields} | {"address", "search"}
)


class Access(msgspec.Struct, frozen=True):
    """That somebody asks something of the log; `asked` are the words of the request."""

    actor_id: str
    actor_role: str
    request_id: str
    action: str
    asked: Mapping[str, Any]
    kind: Kind = "question"


class Accesses(msgspec.Struct, frozen=True, kw_only=True):
    """Which accesses are asked for, the newest first; None: any. `before`: with lower numbers."""

    limit: int = 20
    before: int | None = None
    kind: str | None = None
    actor_id: str | None = None
    action: str | None = None


class Noted(msgspec.Struct, frozen=True, rename="camel"):
    """An access that was recorded, and how many rows were given."""

    number: int
    at: datetime
    kind: str
    actor_id: str
    actor_role: str
    request_id: str
    action: str
    asked: msgspec.Raw
    rows: int


def kept(asked: Mapping[str, Any]) -> dict[str, str]:
    """Return what is recorded of a question: nothing that may tell of a person.

    The records are never changed, so what is in them could not be forgotten. Personal fields are
    sealed in the log: whoever searches for one finds nothing by it anyway.
    """
    given = {name: str(value) for name, value in asked.items()}
    return {name: value if is_plain(name, value) else WITHHELD for name, value in given.items()}


def is_plain(name: str, value: str) -> bool:
    """Tell whether a value tells of nobody: it is an id, a number, a time or such a name."""
    field = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name.rpartition(".")[2]).lower()
    if name == "name" and EVENT_NAME.fullmatch(value):
        return True
    return field not in PERSONAL and PLAIN.fullmatch(value) is not None


def values_of(access: Access, rows: int) -> list[object]:
    """Return the columns of an access."""
    asked = msgspec.json.encode(kept(access.asked)).decode()
    who = [access.kind, access.actor_id, access.actor_role, access.request_id]
    return [*who, access.action, asked, rows]


def note(connection: Connection[TupleRow], access: Access, rows: int) -> None:
    """Record an access."""
    connection.execute(INSERT, values_of(access, rows))


async def note_async(connection: AsyncConnection[TupleRow], access: Access, rows: int) -> None:
    """Record an access."""
    await connection.execute(INSERT, values_of(access, rows), prepare=True)


async def noted(connection: AsyncConnection[TupleRow], asked: Accesses) -> list[Noted]:
    """Return accesses, the newest first."""
    rows = await (await connection.execute(LIST, msgspec.structs.asdict(asked))).fetchall()
    return [
        Noted(number, at, kind, actor, role, request, action, msgspec.Raw(words.encode()), count)
        for number, at, kind, actor, role, request, action, words, count in rows
    ]
