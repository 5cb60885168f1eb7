"""Connections (the Relay specification): a part of a list with cursors, read forwards or back."""

from collections.abc import Awaitable, Callable
from typing import Any, Generic, TypeVar

import strawberry
from strawberry.utils.str_converters import to_camel_case

from api.errors import MalformedRequest
from api.graphql.asking import Asking
from api.read.cursors import Place
from api.read.lists import LARGEST_PAGE, AskedOfAny, ListQuery, asked_of_any, read_values
from api.read.v2.stretches import name_of
from domain.refusal import Detail
from projections.listing import Listing, Part, Request, Stretch, place_of
from projections.projection import Row
from projections.reading.list_sql import place_types

Node = TypeVar("Node")
USUAL = 20


@strawberry.type(description="Where a part of a list lies in it.")
class PageInfo:
    """Whether there is more on either side, and the cursors of both ends."""

    has_next_page: bool
    has_previous_page: bool
    start_cursor: str | None
    end_cursor: str | None


@strawberry.type(description="An entry of a list and where it stands.")
class Edge(Generic[Node]):
    """An entry and its cursor."""

    node: Node
    cursor: str


@strawberry.type(description="A part of a list.")
class Connection(Generic[Node]):
    """Entries, with and without their cursors."""

    edges: list[Edge[Node]]
    page_info: PageInfo
    counting: strawberry.Private[Callable[[], Awaitable[int]]]

    @strawberry.field(description="The entries alone.")
    def nodes(self) -> list[Node]:
        """Return the entries without their cursors."""
        return [edge.node for edge in self.edges]

    @strawberry.field(
        description="How many entries the list has; counted to 50,000, estimated beyond."
    )
    async def total_count(self) -> int:
        """Count, which nothing costs that does not ask for it."""
        return await self.counting()


class Span:
    """Which part of a list is asked for: `first` after a cursor, or `last` before one."""

    def __init__(
        self, first: int | None, after: str | None, last: int | None, before: str | None
    ) -> None:
        """Raise `MalformedRequest` for a choice that means nothing."""
        self.backwards = last is not None or before is not None
        if self.backwards and (first is not None or after is not None):
            raise MalformedRequest("Ask for `first` and `after`, or for `last` and `before`.")
        self.cursor = before if self.backwards else after
        count = last if self.backwards else first
        self.limit = USUAL if count is None else count
        if not 1 <= self.limit <= LARGEST_PAGE:
            name = "last" if self.backwards else "first"
            message = f"This must be a whole number from 1 to {LARGEST_PAGE}."
            raise MalformedRequest(None, Detail(name, message, self.limit))


def asked_for(query: ListQuery, span: Span, **given: object) -> AskedOfAny:
    """Return what is asked of a list, its arguments read as REST reads its parameters."""
    texts = {to_camel_case(name): text_of(one) for name, one in given.items() if one is not None}
    found = read_values(query.values, texts)
    return AskedOfAny(**asked_of_any(query.listing, found | {"limit": span.limit}))


def text_of(value: object) -> str:
    """Return an argument as REST would have got it."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(getattr(value, "value", value))


async def connection(
    asking: Asking,
    shown: Listing,
    asked: AskedOfAny,
    span: Span,
    show: Callable[[Row], Node],
) -> Connection[Node]:
    """Return a part of a list; its filters are those that the caller may use."""
    stretch = Stretch(
        filters=asked.filters,
        sort_by=asked.sort_by,
        descending=asked.descending,
        limit=span.limit,
        place=place_in(asking, shown, asked, span),
        backwards=span.backwards,
    )
    part = await asking.views.stretch(shown, stretch)
    asking.saw(part.position)
    return connected(asking, shown, asked, part, span, show, lambda: counted(asking, shown, asked))


def place_in(
    asking: Asking, shown: Listing, asked: AskedOfAny, span: Span
) -> tuple[Any, ...] | None:
    """Return the place in a list that a cursor means; None: one of its ends."""
    if span.cursor is None:
        return None
    kinds = place_types(shown, asked.sort_by)
    return asking.cursors.open(name_of(shown, asked), span.cursor, kinds).values


async def counted(asking: Asking, shown: Listing, asked: AskedOfAny) -> int:
    """Return how many entries a list has."""
    page = Request(
        filters=asked.filters,
        sort_by=asked.sort_by,
        descending=asked.descending,
        limit=1,
        offset=0,
    )
    found = await asking.views.list(shown, page)
    asking.saw(found.position)
    return found.total


def connected(  # noqa: PLR0913, PLR0917 - what a connection is made of
    asking: Asking,
    shown: Listing,
    asked: AskedOfAny,
    part: Part,
    span: Span,
    show: Callable[[Row], Node],
    count: Callable[[], Awaitable[int]],
) -> Connection[Node]:
    """Make a connection of a part of a list."""
    listed, has_come = name_of(shown, asked), span.cursor is not None
    edges = [
        Edge(
            node=show(row),
            cursor=asking.cursors.seal(
                listed, Place(place_of(shown, asked.sort_by, row), backwards=False)
            ),
        )
        for row in part.rows
    ]
    info = PageInfo(
        has_next_page=has_come if span.backwards else part.more,
        has_previous_page=part.more if span.backwards else has_come,
        start_cursor=edges[0].cursor if edges else None,
        end_cursor=edges[-1].cursor if edges else None,
    )
    return Connection(edges=edges, page_info=info, counting=count)
