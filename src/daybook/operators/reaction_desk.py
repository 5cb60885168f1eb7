"""The reactions as operators see them over HTTP; each question has a connection of its own."""

import asyncio
from collections.abc import Callable, Sequence
from typing import TypeVar

import psycopg
from psycopg import Connection
from psycopg.rows import TupleRow

from domain.refusal import NotFound
from event_store.connections import connect
from event_store.records import StoreUnavailable
from reactions import operations, status
from reactions.operations import Operation
from reactions.switched_on import REACTIONS

Found = TypeVar("Found")


class ReactionDesk:
    """Answers what `api.read.reactions` asks."""

    def __init__(self, database_url: str) -> None:
        self._database_url = database_url

    async def statuses(self) -> Sequence[status.Status]:
        """Return how every reaction stands."""
        return await self._ask(status.statuses)

    async def failures(
        self, name: str, limit: int, offset: int
    ) -> tuple[Sequence[status.Failure], int]:
        """Return failed events of a reaction and how many there are; `NotFound`."""
        check_known(name)
        return await self._ask(
            lambda one: (
                status.failures(one, name, limit=limit, offset=offset),
                status.count(one, name),
            )
        )

    async def failure(self, name: str, position: int) -> status.Failure:
        """Return a failed event of a reaction; `NotFound`."""
        check_known(name)
        found = await self._ask(lambda one: status.failure(one, name, position, REACTIONS[name]))
        if found is None:
            raise NotFound
        return found

    async def operations(
        self, name: str, limit: int, offset: int
    ) -> tuple[Sequence[Operation], int]:
        """Return decisions about a reaction, and how many there are; `NotFound`."""
        check_known(name)
        return await self._ask(
            lambda one: (
                operations.operations(one, [name], limit=limit, offset=offset),
                operations.count(one, [name]),
            )
        )

    async def operation(self, name: str, operation_id: int) -> Operation:
        """Return a decision about a reaction; `NotFound`."""
        check_known(name)
        found = await self._ask(lambda one: operations.operation(one, name, operation_id))
        if found is None:
            raise NotFound
        return found

    async def _ask(self, question: Callable[[Connection[TupleRow]], Found]) -> Found:
        def answer() -> Found:
            with connect(self._database_url, name="daybook reaction desk") as connection:
                return question(connection)

        try:
            return await asyncio.to_thread(answer)
        except psycopg.OperationalError as error:
            raise StoreUnavailable("Postgres is not to be reached.") from error


def check_known(name: str) -> None:
    """Raise `NotFound` unless there is such a reaction."""
    if name not in REACTIONS:
        raise NotFound
