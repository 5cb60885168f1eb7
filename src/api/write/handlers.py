"""All that the write side answers."""

from litestar.handlers import HTTPRouteHandler

from api.write import (
    auth,
    orders,
    personal_data,
    products,
    projections,
    reactions,
    users,
)

HANDLERS: list[HTTPRouteHandler] = [
    *auth.HANDLERS,
    *users.HANDLERS,
    *products.HANDLERS,
    *orders.HANDLERS,
    *personal_data.HANDLERS,
    *reactions.HANDLERS,
    *projections.HANDLERS,
]
