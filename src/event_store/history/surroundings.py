"""One event with its neighbours: what caused it, what it caused, what else its request did.

And from where its actor could have asked: the sessions that were open for them then.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from psycopg import AsyncConnection
from psycopg.rows import TupleRow

from event_store.history.entries import Entry
from event_store.history.questions import Question
from event_store.history.search import find

MOST_REQUESTS = 100

# An access token lasts for an hour (and a minute's leeway): it comes from a sign-in or refresh
# of that time, in a session that has not ended since. What the event's own request did is exact.
SESSIONS = """
with theirs as (
    select number, session_id, kind, at, address, agent, request_id = %(request)s as own
      from sign_ins
     where user_id = %(user)s and session_id is not null
       and (request_id = %(request)s
            or at <= %(at)s and at > %(at)s - interval '61 minutes')
)
select distinct on (session_id) session_id, at, kind, address, agent, own from theirs
 where own or (
       kind in ('signed_in', 'refreshed')
   and not exists (select from theirs ended
                    where ended.session_id = theirs.session_id and ended.number > theirs.number
                      and ended.kind in ('signed_out', 'reused')))
   and not exists (select from theirs exact where exact.own)
 order by session_id, own desc, number desc
"""


class Session(msgspec.Struct, frozen=True, rename="camel"):
    """A session of the actor, with the sign-in or refresh that its access token was from.

    `exact`: the event's own request is the one that was recorded. Else it is one of these sessions.
    """

    session_id: UUID
    at: datetime
    kind: str
    address: str
    agent: str
    exact: bool


class Surroundings(msgspec.Struct, frozen=True, rename="camel"):
    """An event, what caused it, what it caused, and the other events of its request, oldest first.

    Of what it caused and of its request only the first are there if there are many. `sessions` are
    those from which its actor could have asked; none for what was not done over HTTP, for somebody
    forgotten, and when the records of sign-ins have had their time.
    """

    event: Entry
    cause: Entry | None
    caused: list[Entry]
    request: list[Entry]
    sessions: list[Session]

    @property
    def rows(self) -> int:
        """Return how many events these are."""
        return 1 + (self.cause is not None) + len(self.caused) + len(self.request)


async def surroundings(
    connection: AsyncConnection[TupleRow], position: int, most: int
) -> Surroundings | None:
    """Return an event with its neighbours, None if there is no such event."""
    event = await at(connection, position)
    if event is None:
        return None
    cause = await at(connection, event.causation_id) if event.causation_id else None
    caused = Question(
        facts={"causation_id": str(position)}, positions=(position, None), descending=False
    )
    request = Question(facts={"request_id": event.request_id}, descending=False)
    return Surroundings(
        event,
        cause,
        await find(connection, caused, most),
        [one for one in await find(connection, request, most) if one.position != position],
        await sessions_of(connection, event),
    )


class Trace(msgspec.Struct, frozen=True, rename="camel"):
    """Events that belong together, the oldest first, and by request from where it was asked.

    `more`: these are the first of more.
    """

    events: list[Entry]
    sessions: dict[str, list[Session]]
    more: bool = False


async def trace(connection: AsyncConnection[TupleRow], question: Question, most: int) -> Trace:
    """Return what a question finds, with the sessions of whoever asked for it."""
    found = await find(connection, question, most + 1)
    events = found[:most]
    first: dict[str, Entry] = {}
    for one in events:
        first.setdefault(one.request_id, one)
    asked = list(first.items())[:MOST_REQUESTS]
    sessions = {request: await sessions_of(connection, event) for request, event in asked}
    known = {request: some for request, some in sessions.items() if some}
    return Trace(events, known, len(found) > most)


async def sessions_of(connection: AsyncConnection[TupleRow], event: Entry) -> list[Session]:
    """Return the sessions from which the actor of an event could have asked for it."""
    user_id = who(event)
    if user_id is None:
        return []
    asked = {"user": user_id, "at": event.recorded_at, "request": event.request_id}
    rows = await (await connection.execute(SESSIONS, asked)).fetchall()
    return [Session(*row) for row in rows]


def who(event: Entry) -> UUID | None:
    """Return the account that an event was asked for by; of a sign-in, whose it is."""
    named: dict[str, Any] = (
        msgspec.json.decode(event.data) if event.name == "session.started" else {}
    )
    try:
        return UUID(named.get("user_id", event.actor_id))
    except ValueError:
        return None


async def at(connection: AsyncConnection[TupleRow], position: int) -> Entry | None:
    """Return the event at a position."""
    found = await find(connection, Question(positions=(position, position + 1)), 1)
    return found[0] if found else None
