"""Version 2 of the read side, one file a resource: more in a resource, lists by cursors."""

from litestar.handlers import HTTPRouteHandler

from api.read.v2 import orders, products, reports, users

HANDLERS: list[HTTPRouteHandler] = [
    *users.HANDLERS,
    *products.HANDLERS,
    *orders.HANDLERS,
    *reports.HANDLERS,
]
