"""Orders over HTTP: one's own; all of them for those who work here."""

from functools import partial
from typing import Annotated, get_args
from uuid import UUID

from litestar.di import NamedDependency
from litestar.params import PathParameter

from api.guards import SIGNED_IN
from api.links import FIRST, ID, links_to
from api.read import as_of
from api.read.access import limit_orders, limit_orders_to, visible_order
from api.read.answers import ViewAnswer, listed, single
from api.read.lists import Asked, ListQuery, fields_value, given_in, read_values
from api.read.users import UserId
from api.read.values import amount, choice, identity, instant
from api.read.views import list_route, single_route
from api.request import ApiRequest
from api.routes import V1
from domain import order
from event_store.trail import Trail
from projections.orders import LISTING, ORDERS, PROJECTION, OrderView, order_view
from projections.pasts.lists import Moment, Pasts
from projections.reading.views import Views

TAG = "Orders"
OrderId = Annotated[UUID, PathParameter(description="The order's id.")]

OF_FIRST = links_to("showOrder", order_id=FIRST)
OF_ORDER = {
    **links_to("showUser", user_id="$response.body#/data/userId"),
    **links_to("showProduct", product_id="$response.body#/data/items/0/productId"),
    **links_to("createPayment", order_id=ID, body={"amount": "$response.body#/data/total"}),
    **links_to("createCancellation", "createShipment", "createNote", order_id=ID),
}

FILTERS = {
    "status": choice("Only orders in this state.", get_args(order.Status)),
    "userId": identity("Only orders of this user; for staff, unless it is oneself."),
    "placedFrom": instant("Only orders placed then or later.", day_counts=False),
    "placedTo": instant(
        "Only orders placed before this time, or up to the end of this day (UTC).", day_counts=True
    ),
    "minTotal": amount("Only orders of this total or more, in whatever currency."),
    "maxTotal": amount("Only orders of this total or less, in whatever currency."),
    "productId": identity("Only orders of this product."),
}
LIST = ListQuery(LISTING, OrderView, FILTERS)
# In a user's own list the user is in the path.
USER_VALUES = {name: value for name, value in LIST.values.items() if name != "userId"}
ONE = {"fields": fields_value(OrderView), **as_of.VALUES}


@list_route(
    f"{V1}/orders",
    OrderView,
    LIST.values,
    who=SIGNED_IN,
    summary="List orders",
    tag=TAG,
    succeeded=True,
    links=OF_FIRST,
)
async def list_orders(
    request: ApiRequest, views: NamedDependency[Views], pasts: NamedDependency[Pasts]
) -> ViewAnswer:
    """List one's own orders; to staff those of all. Notes are there for staff only."""
    asked = LIST.read(given_in(request))
    if asked.moment:
        return await as_they_were(request, pasts, asked, asked.moment)
    limit_orders(request.caller, asked.filters)
    return await answered(request, views, asked)


@list_route(
    f"{V1}/users/{{user_id:str}}/orders",
    OrderView,
    USER_VALUES,
    who=SIGNED_IN,
    summary="List a user's orders",
    tag=TAG,
    refusals=["NOT_FOUND"],
    succeeded=True,
    links=OF_FIRST,
)
async def list_orders_of_user(
    request: ApiRequest,
    user_id: UserId,
    views: NamedDependency[Views],
    pasts: NamedDependency[Pasts],
) -> ViewAnswer:
    """List one's own orders, or to staff those of any user."""
    asked = LIST.read(given_in(request))
    if asked.moment:
        asked.filters["userId"] = user_id
        return await as_they_were(request, pasts, asked, asked.moment)
    await limit_orders_to(views, request.caller, user_id, asked.filters)
    return await answered(request, views, asked)


async def answered(request: ApiRequest, views: Views, asked: Asked) -> ViewAnswer:
    """Answer with a page of orders that the caller may see."""
    page = await views.list(LISTING, asked.wanted)
    for_staff = request.caller.is_staff
    return listed(request, asked, page, [order_view(r, for_staff=for_staff) for r in page.rows])


async def as_they_were(
    request: ApiRequest, pasts: Pasts, asked: Asked, moment: Moment
) -> ViewAnswer:
    """Answer with a page of orders as they were, to auditors."""
    return await as_of.listed_as_of(
        request, pasts, LISTING, asked, moment, lambda row, _: order_view(row, for_staff=True)
    )


@single_route(
    f"{V1}/orders/{{order_id:str}}",
    OrderView,
    ONE,
    who=SIGNED_IN,
    summary="Show an order",
    tag=TAG,
    succeeded=True,
    links=OF_ORDER,
)
async def show_order(
    request: ApiRequest,
    order_id: OrderId,
    views: NamedDependency[Views],
    trail: NamedDependency[Trail],
) -> ViewAnswer:
    """Show one's own order, or any to staff. Notes are there for staff only."""
    asked = read_values(ONE, given_in(request))
    if "asOf" in asked:
        past = (PROJECTION, ORDERS, order_id, partial(order_view, for_staff=True))
        return await as_of.shown_as_of(request, trail, *past, ONE)
    fields = asked.get("fields")
    row, position = await visible_order(views, request.caller, order_id)
    view = order_view(row, for_staff=request.caller.is_staff)
    return single(request, view, fields, version=row["version"], position=position)


HANDLERS = [list_orders, list_orders_of_user, show_order]
