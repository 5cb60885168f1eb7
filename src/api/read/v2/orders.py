"""Orders in version 2: each with the states that it has come through."""

from functools import partial

from litestar.di import NamedDependency

from api.guards import SIGNED_IN
from api.links import FIRST, link_to_next, links_to
from api.read.access import limit_orders, limit_orders_to, visible_order
from api.read.answers import ViewAnswer, single
from api.read.cursors import Cursors
from api.read.lists import fields_value, given_in, read_values
from api.read.orders import FILTERS, TAG, OrderId
from api.read.users import UserId
from api.read.v2.stretches import Asked, CursorQuery, stretched
from api.read.views import list_route, single_route
from api.request import ApiRequest
from api.routes import V2
from projections.orders import LISTING, OrderV2View, order_v2_view
from projections.reading.views import Views

LIST = CursorQuery(LISTING, OrderV2View, FILTERS)
# In a user's own list the user is in the path.
USER_VALUES = {name: value for name, value in LIST.values.items() if name != "userId"}
OF_FIRST = links_to("showOrderV2", order_id=FIRST)
OF_ORDER = {
    **links_to("showUserV2", user_id="$response.body#/data/userId"),
    **links_to("showProductV2", product_id="$response.body#/data/items/0/productId"),
}
ONE = {"fields": fields_value(OrderV2View)}


@list_route(
    f"{V2}/orders",
    OrderV2View,
    LIST.values,
    who=SIGNED_IN,
    summary="List orders",
    tag=TAG,
    links={**OF_FIRST, **link_to_next("listOrdersV2", LIST.values)},
)
async def list_orders_v2(
    request: ApiRequest, views: NamedDependency[Views], cursors: NamedDependency[Cursors]
) -> ViewAnswer:
    """List one's own orders; to staff those of all. Notes are there for staff only."""
    asked = LIST.read(given_in(request))
    limit_orders(request.caller, asked.filters)
    return await answered(request, views, cursors, asked)


@list_route(
    f"{V2}/users/{{user_id:str}}/orders",
    OrderV2View,
    USER_VALUES,
    who=SIGNED_IN,
    summary="List a user's orders",
    tag=TAG,
    refusals=["NOT_FOUND"],
    links={
        **OF_FIRST,
        **link_to_next("listOrdersOfUserV2", USER_VALUES, user_id="$request.path.user_id"),
    },
)
async def list_orders_of_user_v2(
    request: ApiRequest,
    user_id: UserId,
    views: NamedDependency[Views],
    cursors: NamedDependency[Cursors],
) -> ViewAnswer:
    """List one's own orders, or to staff those of any user."""
    asked = LIST.read(given_in(request))
    await limit_orders_to(views, request.caller, user_id, asked.filters)
    return await answered(request, views, cursors, asked)


async def answered(request: ApiRequest, views: Views, cursors: Cursors, asked: Asked) -> ViewAnswer:
    """Answer with a stretch of orders that the caller may see."""
    show = partial(order_v2_view, for_staff=request.caller.is_staff)
    return await stretched(request, views, cursors, LISTING, asked, show)


@single_route(
    f"{V2}/orders/{{order_id:str}}",
    OrderV2View,
    ONE,
    who=SIGNED_IN,
    summary="Show an order",
    tag=TAG,
    links=OF_ORDER,
)
async def show_order_v2(
    request: ApiRequest, order_id: OrderId, views: NamedDependency[Views]
) -> ViewAnswer:
    """Show one's own order with its history, or any to staff. Notes are there for staff only."""
    fields = read_values(ONE, given_in(request)).get("fields")
    row, position = await visible_order(views, request.caller, order_id)
    view = order_v2_view(row, for_staff=request.caller.is_staff)
    return single(request, view, fields, version=row["version"], position=position)


HANDLERS = [list_orders_v2, list_orders_of_user_v2, show_order_v2]
