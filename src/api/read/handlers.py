"""All that the read side answers."""

from litestar.handlers import HTTPRouteHandler

from api.read import (
    evidence,
    exports,
    history,
    orders,
    personal_data,
    products,
    projections,
    reactions,
    reports,
    sign_ins,
    users,
    v2,
)
from api.read.live import routes as live

HANDLERS: list[HTTPRouteHandler] = [
    *users.HANDLERS,
    *products.HANDLERS,
    *orders.HANDLERS,
    *reports.HANDLERS,
    *evidence.HANDLERS,
    *history.HANDLERS,
    *exports.HANDLERS,
    *sign_ins.HANDLERS,
    *live.HANDLERS,
    *personal_data.HANDLERS,
    *reactions.HANDLERS,
    *v2.HANDLERS,
    *projections.HANDLERS,
]
