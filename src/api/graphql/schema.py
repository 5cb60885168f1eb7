"""The GraphQL schema: what can be asked first, and the limits of a question.

`python -m api.graphql.schema FILE` writes it down; `schema.graphql` is what it was last.
"""

import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import strawberry
from graphql import GraphQLError
from strawberry.extensions import (
    DisableIntrospection,
    MaxTokensLimiter,
    ParserCache,
    SchemaExtension,
    ValidationCache,
)
from strawberry.schema.config import StrawberryConfig
from strawberry.types import ExecutionContext
from strawberry.types.scalar import ScalarDefinition

from api.errors import MalformedRequest
from api.graphql.connections import Connection, Span, asked_for, connection
from api.graphql.types import (
    Info,
    Order,
    OrderStatus,
    Product,
    ProductStatus,
    Role,
    User,
    UserStatus,
    order_of,
    order_shown,
    product_of,
    sort_of,
    user_of,
)
from api.graphql.weight import WeightLimiter
from api.guards import STAFF, check
from api.read import orders as order_lists
from api.read import products as product_lists
from api.read import users as user_lists
from api.read.access import (
    limit_orders,
    limit_products,
    visible_order,
    visible_product,
    visible_user,
    works_here,
)
from projections import orders, products, users

MOST_TOKENS = 1_000
CACHED = 256
FILE = Path(__file__).with_name("schema.graphql")

UserSort = sort_of("UserSort", users.LISTING)
OrderSort = sort_of("OrderSort", orders.LISTING)
ProductSort = sort_of("ProductSort", products.LISTING)
SortOrder = sort_of("SortOrder", ("asc", "desc"))


@strawberry.type(description="What can be asked for.")
class Query:
    """The beginnings of questions; lists take the filters of REST as arguments."""

    @strawberry.field(description="One's own account.")
    async def me(self, info: Info) -> User:
        """Show the account that the access token belongs to."""
        return await seen_user(info, info.context.caller.user_id)

    @strawberry.field(description="One's own account, or any for staff.")
    async def user(self, info: Info, id: UUID) -> User | None:  # noqa: A002 - the argument's name
        """Show a user."""
        return await seen_user(info, id)

    @strawberry.field(description="Accounts, closed ones too; for staff.")
    async def users(  # noqa: PLR0913, PLR0917 - the arguments of a list
        self,
        info: Info,
        first: int | None = None,
        after: str | None = None,
        last: int | None = None,
        before: str | None = None,
        email: str | None = None,
        role: Role | None = None,  # type: ignore[valid-type]  # made of the domain's words
        status: UserStatus | None = None,  # type: ignore[valid-type]  # as role
        sort_by: UserSort | None = None,  # type: ignore[valid-type]  # made of the listing
        sort_order: SortOrder | None = None,  # type: ignore[valid-type]  # as sort_by
    ) -> Connection[User]:
        """List users."""
        check(STAFF, info.context.who)
        span = Span(first, after, last, before)
        asked = asked_for(
            user_lists.LIST,
            span,
            email=email,
            role=role,
            status=status,
            sort_by=sort_by,
            sort_order=sort_order,
        )
        return await connection(info.context, users.LISTING, asked, span, user_of)

    @strawberry.field(description="One's own order, or any for staff.")
    async def order(self, info: Info, id: UUID) -> Order | None:  # noqa: A002 - the argument's name
        """Show an order."""
        asking = info.context
        row, position = await visible_order(asking.views, asking.caller, id)
        asking.saw(position)
        return order_of(row, for_staff=works_here(asking.who))

    @strawberry.field(description="One's own orders; those of all for staff.")
    async def orders(  # noqa: PLR0913, PLR0917 - the arguments of a list
        self,
        info: Info,
        first: int | None = None,
        after: str | None = None,
        last: int | None = None,
        before: str | None = None,
        status: OrderStatus | None = None,  # type: ignore[valid-type]  # made of the domain's words
        user_id: UUID | None = None,
        placed_from: str | None = None,
        placed_to: str | None = None,
        min_total: str | None = None,
        max_total: str | None = None,
        product_id: UUID | None = None,
        sort_by: OrderSort | None = None,  # type: ignore[valid-type]  # made of the listing
        sort_order: SortOrder | None = None,  # type: ignore[valid-type]  # as sort_by
    ) -> Connection[Order]:
        """List orders."""
        asking = info.context
        caller = asking.caller
        span = Span(first, after, last, before)
        asked = asked_for(
            order_lists.LIST,
            span,
            status=status,
            user_id=user_id,
            placed_from=placed_from,
            placed_to=placed_to,
            min_total=min_total,
            max_total=max_total,
            product_id=product_id,
            sort_by=sort_by,
            sort_order=sort_order,
        )
        limit_orders(caller, asked.filters)
        return await connection(asking, orders.LISTING, asked, span, order_shown(asking))

    @strawberry.field(description="A product that is for sale, or any for staff.")
    async def product(self, info: Info, id: UUID) -> Product | None:  # noqa: A002 - its name
        """Show a product."""
        asking = info.context
        row, position = await visible_product(asking.views, asking.who, id)
        asking.saw(position)
        return product_of(row)

    @strawberry.field(description="What is for sale; for staff also what was withdrawn.")
    async def products(  # noqa: PLR0913, PLR0917 - the arguments of a list
        self,
        info: Info,
        first: int | None = None,
        after: str | None = None,
        last: int | None = None,
        before: str | None = None,
        sku: str | None = None,
        name: str | None = None,
        min_price: str | None = None,
        max_price: str | None = None,
        in_stock: bool | None = None,  # noqa: FBT001 - an argument of the schema
        status: ProductStatus | None = None,  # type: ignore[valid-type]  # made of the view's words
        sort_by: ProductSort | None = None,  # type: ignore[valid-type]  # made of the listing
        sort_order: SortOrder | None = None,  # type: ignore[valid-type]  # as sort_by
    ) -> Connection[Product]:
        """List products."""
        span = Span(first, after, last, before)
        asked = asked_for(
            product_lists.LIST,
            span,
            sku=sku,
            name=name,
            min_price=min_price,
            max_price=max_price,
            in_stock=in_stock,
            status=status,
            sort_by=sort_by,
            sort_order=sort_order,
        )
        limit_products(info.context.who, asked.filters)
        return await connection(info.context, products.LISTING, asked, span, product_of)


async def seen_user(info: Info, user_id: UUID) -> User:
    """Return a user whom the caller may see."""
    asking = info.context
    row, position = await visible_user(asking.views, asking.caller, user_id)
    asking.saw(position)
    return user_of(row)


def rfc3339(moment: datetime) -> str:
    """Write a time as REST does."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def unread(_: object) -> Any:
    """Refuse a time as an argument; times are taken as text, as REST takes them."""
    raise MalformedRequest


TIME = ScalarDefinition(
    name="DateTime",
    description="A time (RFC 3339) in UTC.",
    specified_by_url=None,
    serialize=rfc3339,
    parse_value=unread,
    parse_literal=None,
)


class Quiet(strawberry.Schema):
    """A schema that leaves it to `answers` which errors are worth a line in the log."""

    def process_errors(
        self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None
    ) -> None:
        """Log nothing: most errors are refusals, and questions may hold what is personal."""


def schema_with(*, introspection: bool) -> strawberry.Schema:
    """Return the schema with its limits; it tells of itself only where that is wanted."""
    extensions: list[type[SchemaExtension] | Callable[[], SchemaExtension]] = [
        lambda: ParserCache(maxsize=CACHED),
        lambda: ValidationCache(maxsize=CACHED),
        lambda: MaxTokensLimiter(max_token_count=MOST_TOKENS),
        WeightLimiter,
    ]
    if not introspection:
        extensions.append(DisableIntrospection)
    return Quiet(
        Query,
        extensions=extensions,
        config=StrawberryConfig(
            scalar_map={datetime: TIME}, disable_field_suggestions=not introspection
        ),
    )


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(schema_with(introspection=True).as_str() + "\n")
