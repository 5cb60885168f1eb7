"""The read side: views over HTTP, one file a resource. `HANDLERS` is all of it."""

from litestar.handlers import HTTPRouteHandler

from api.read import evidence, orders, products, reactions, reports, users
from api.read.live import routes as live

HANDLERS: list[HTTPRouteHandler] = [
    *users.HANDLERS,
    *products.HANDLERS,
    *orders.HANDLERS,
    *reports.HANDLERS,
    *evidence.HANDLERS,
    *live.HANDLERS,
    *reactions.HANDLERS,
]
