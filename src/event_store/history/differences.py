"""A stream's history as differences: who changed what, from what, to what."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from psycopg import AsyncConnection
from psycopg.rows import TupleRow

from event_store.history.entries import Entry

SEALED = "sealed."
SHOWN_SEALED = "(personal, sealed)"

# What events up to a position have said last of each field, so that a page begins anywhere.
KNOWN = """
select distinct on (said.key) said.key, said.value::text
  from events e, jsonb_each(e.data) as said (key, value)
 where e.stream_id = %s and e.position <= %s
 order by said.key, e.version desc
"""


class Difference(msgspec.Struct, frozen=True, rename="camel"):
    """One field that an event set: what the stream's events had said of it before, and says now."""

    field: str
    before: Any
    after: Any


class Change(msgspec.Struct, frozen=True, rename="camel"):
    """One event of a stream, as what it changed."""

    position: int
    version: int
    name: str
    actor_id: str
    actor_role: str
    command: str
    occurred_at: datetime
    differences: list[Difference]


async def known_upto(
    connection: AsyncConnection[TupleRow], stream_id: UUID, position: int
) -> dict[str, Any]:
    """Return what a stream's events have said of each field, up to a position."""
    rows = await (await connection.execute(KNOWN, [stream_id, position])).fetchall()
    return {field: msgspec.json.decode(value) for field, value in rows}


def changes(entries: Iterable[Entry], before: Mapping[str, Any]) -> Iterator[Change]:
    """Yield what each of some events of a stream changed; `before` is what was known until then."""
    known = dict(before)
    for one in entries:
        said = msgspec.json.decode(one.data)
        found = [
            Difference(field, shown(known.get(field)), shown(value))
            for field, value in said.items()
            if field not in known or known[field] != value
        ]
        known |= said
        yield Change(
            one.position,
            one.version,
            one.name,
            one.actor_id,
            one.actor_role,
            one.command,
            one.occurred_at,
            found,
        )


def shown(value: Any) -> Any:
    """Return a value as it is shown: what is sealed says only that."""
    return SHOWN_SEALED if isinstance(value, str) and value.startswith(SEALED) else value
