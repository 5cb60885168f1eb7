"""Operators' questions about the projections: few, of the primary, each with an end."""

import asyncio
from collections.abc import Callable
from typing import Concatenate, ParamSpec, TypeVar

from psycopg import Connection
from psycopg.rows import TupleRow

from event_store.connections import AWAY, LOST, connect
from event_store.records import StoreUnavailable

Given = ParamSpec("Given")
Answer = TypeVar("Answer")


class Oversight:
    """Asks in a thread, on a connection of its own: seldom enough for it not to matter."""

    def __init__(self, database_url: str) -> None:
        self._database_url = database_url

    async def ask(
        self,
        question: Callable[Concatenate[Connection[TupleRow], Given], Answer],
        *args: Given.args,
        **kwargs: Given.kwargs,
    ) -> Answer:
        """Return what a function of a connection returns; `StoreUnavailable` while that is away."""

        def asked() -> Answer:
            with connect(self._database_url, name="daybook oversight") as connection:
                return question(connection, *args, **kwargs)

        try:
            return await asyncio.to_thread(asked)
        except LOST as error:
            raise StoreUnavailable(AWAY) from error
