"""What a question in GraphQL is answered with: the views, who asks, and what loads in batches."""

from collections.abc import Sequence
from functools import partial
from typing import TypeVar
from uuid import UUID

from sqlalchemy import Table
from strawberry.dataloader import DataLoader

from api.errors import NotSignedIn
from api.read.cursors import Cursors
from api.request_context import Caller
from projections import orders, products, users
from projections.listing import Part
from projections.projection import Projection, Row
from projections.reading.batches import Choice, Wanted, counts_by_user, orders_by_user, rows_by_id
from projections.reading.views import Question, Views

Found = TypeVar("Found")
InState = tuple[UUID, str]


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
        self.orders: DataLoader[tuple[Wanted, Choice], Part] = DataLoader(self._orders)
        self.counts: DataLoader[InState, int] = DataLoader(self._counts)

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
        question = partial(rows_by_id, projection=projection, table=table, ids=ids)
        found = await self.ask([projection], question)
        return [found.get(one) for one in ids]

    async def _orders(self, asked: list[tuple[Wanted, Choice]]) -> list[Part]:
        """Load with one statement for each choice, of which few are made."""
        found: dict[tuple[Wanted, Choice], Part] = {}
        for choice in dict.fromkeys(choice for _, choice in asked):
            wanted = [one for one, its in asked if its == choice]
            question = partial(orders_by_user, wanted=wanted, choice=choice)
            parts = await self.ask([orders.PROJECTION], question)
            found |= {(one, choice): part for one, part in zip(wanted, parts, strict=True)}
        return [found[one] for one in asked]

    async def _counts(self, asked: list[InState]) -> list[int]:
        """Count with one statement for each state."""
        found: dict[InState, int] = {}
        for status in dict.fromkeys(status for _, status in asked):
            users_of = [user for user, its in asked if its == status]
            question = partial(counts_by_user, users=users_of, status=status)
            counts = await self.ask([orders.PROJECTION], question)
            found |= {(user, status): count for user, count in counts.items()}
        return [found.get(one, 0) for one in asked]
