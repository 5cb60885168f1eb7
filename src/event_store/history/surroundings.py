"""One event with its neighbours: what caused it, what it caused, what else its request did."""

import msgspec
from psycopg import AsyncConnection
from psycopg.rows import TupleRow

from event_store.history.entries import Entry
from event_store.history.questions import Question
from event_store.history.search import find


class Surroundings(msgspec.Struct, frozen=True, rename="camel"):
    """An event, what caused it, what it caused, and the other events of its request, oldest first.

    Of what it caused and of its request only the first are there if there are many.
    """

    event: Entry
    cause: Entry | None
    caused: list[Entry]
    request: list[Entry]

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
    )


async def at(connection: AsyncConnection[TupleRow], position: int) -> Entry | None:
    """Return the event at a position."""
    found = await find(connection, Question(positions=(position, position + 1)), 1)
    return found[0] if found else None
