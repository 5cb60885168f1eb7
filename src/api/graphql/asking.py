"""What a question in GraphQL is answered with: the views, who asks, and what loads in batches."""

from collections.abc import Sequence
from typing import Any, TypeVar
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import TupleRow
from sqlalchemy import Table
from strawberry.dataloader import DataLoader

from api.errors import NotSignedIn
from api.read.cursors import Cursors
from api.request_context import Caller
from projections import orders, products, users
from projections.batches import orders_by_user, rows_by_id
from projections.projection import Projection, Row
from projections.views import Question, Views

Found = TypeVar("Found")
NewestOf = tuple[UUID, str | None, int]


class Asking:
    """The context of one question: it remembers how far the views had seen that it read."""

    def __init__(
        self,
        views: Views,
        cursors: Cursors,
        caller: Caller | None,
        operation_name: str | None = None,
    ) -> None:
        self.views, self.cursors, self.who = views, cursors, caller
        self.operation_name = operation_name
        self.position: int | None = None
        self.users: DataLoader[UUID, Row | None] = DataLoader(self._users)
        self.products: DataLoader[UUID, Row | None] = DataLoader(self._products)
        self.newest_orders: DataLoader[NewestOf, list[Row]] = DataLoader(self._newest_orders)

    @property
    def caller(self) -> Caller:
        """Who asks; `NotSignedIn` if nobody says."""
        if self.who is None:
            raise NotSignedIn
        return self.who

    def saw(self, position: int) -> None:
        """Take note of how far a view had seen: the answer has seen what all of them have."""
        self.position = position if self.position is None else min(position, self.position)

    async def ask(self, projections: Sequence[Projection], question: Question[Found]) -> Found:
        """Ask the views about many rows at once."""
        found, position = await self.views.answer(projections, question, many=True)
        self.saw(position)
        return found

    async def _users(self, ids: list[UUID]) -> list[Row | None]:
        return await self._by_id(users.PROJECTION, users.USERS, ids)

    async def _products(self, ids: list[UUID]) -> list[Row | None]:
        return await self._by_id(products.PROJECTION, products.PRODUCTS, ids)

    async def _by_id(
        self, projection: Projection, table: Table, ids: list[UUID]
    ) -> list[Row | None]:
        async def question(connection: AsyncConnection[TupleRow]) -> tuple[dict[UUID, Row], int]:
            return await rows_by_id(connection, projection, table, ids)

        found = await self.ask([projection], question)
        return [found.get(one) for one in ids]

    async def _newest_orders(self, wanted: list[NewestOf]) -> list[list[Row]]:
        """Load with one statement for each choice of status and number, of which few are made."""
        found: dict[NewestOf, list[Row]] = {}
        for status, limit in dict.fromkeys((status, limit) for _, status, limit in wanted):
            ids = [user for user, *choice in wanted if choice == [status, limit]]

            async def question(
                connection: AsyncConnection[TupleRow],
                ids: list[UUID] = ids,
                status: str | None = status,
                limit: int = limit,
            ) -> Any:
                return await orders_by_user(connection, ids, status, limit)

            rows = await self.ask([orders.PROJECTION], question)
            found |= {(user, status, limit): rows.get(user, []) for user in ids}
        return [found[one] for one in wanted]
