"""Products over HTTP: the catalogue for anyone; what was withdrawn for those who work here."""

from typing import Annotated, get_args
from uuid import UUID

from litestar.di import NamedDependency
from litestar.params import PathParameter

from api.guards import ANYONE
from api.links import FIRST, ID, links_to
from api.read import as_of
from api.read.access import limit_products, visible_product
from api.read.answers import ViewAnswer, listed, single
from api.read.lists import ListQuery, fields_value, given_in, read_values
from api.read.values import amount, choice, text, yes_or_no
from api.read.views import list_route, single_route
from api.request import ApiRequest
from api.routes import V1
from event_store.trail import Trail
from projections.pasts.lists import Pasts
from projections.products import (
    LISTING,
    PRODUCTS,
    PROJECTION,
    ProductView,
    Status,
    product_view,
)
from projections.reading.views import Views

TAG = "Products"
ProductId = Annotated[UUID, PathParameter(description="The product's id.")]

OF_PRODUCT = {
    **links_to("changeProductDetails", "adjustProductStock", product_id=ID),
    **links_to("createOrder", body={"items": [{"productId": ID, "quantity": 1}]}),
    **links_to("listOrders", productId=ID),
}

FILTERS = {
    "sku": text("Only the product with this SKU."),
    "name": text("Only products whose name has this in it, in any case."),
    "minPrice": amount("Only products that cost this or more, in whatever currency."),
    "maxPrice": amount("Only products that cost this or less, in whatever currency."),
    "inStock": yes_or_no("Only products that are in stock (or not); untracked stock counts."),
    "status": choice("Only products in this state; for staff.", get_args(Status)),
}
LIST = ListQuery(LISTING, ProductView, FILTERS)
ONE = {"fields": fields_value(ProductView), **as_of.VALUES}


@list_route(
    f"{V1}/products",
    ProductView,
    LIST.values,
    who=ANYONE,
    summary="List products",
    tag=TAG,
    refusals=["FORBIDDEN"],
    succeeded=True,
    links=links_to("showProduct", product_id=FIRST),
)
async def list_products(
    request: ApiRequest, views: NamedDependency[Views], pasts: NamedDependency[Pasts]
) -> ViewAnswer:
    """List what is for sale; to staff also what was withdrawn."""
    asked = LIST.read(given_in(request))
    if asked.moment:
        return await as_of.listed_as_of(
            request, pasts, LISTING, asked, asked.moment, lambda row, _: product_view(row)
        )
    limit_products(request.context.caller, asked.filters)
    page = await views.list(LISTING, asked.wanted)
    return listed(request, asked, page, [product_view(row) for row in page.rows])


@single_route(
    f"{V1}/products/{{product_id:str}}",
    ProductView,
    ONE,
    who=ANYONE,
    summary="Show a product",
    tag=TAG,
    links=OF_PRODUCT,
)
async def show_product(
    request: ApiRequest,
    product_id: ProductId,
    views: NamedDependency[Views],
    trail: NamedDependency[Trail],
) -> ViewAnswer:
    """Show a product that is for sale; to staff also one that was withdrawn."""
    asked = read_values(ONE, given_in(request))
    if "asOf" in asked:
        past = (PROJECTION, PRODUCTS, product_id, product_view)
        return await as_of.shown_as_of(request, trail, *past, ONE)
    fields = asked.get("fields")
    row, position = await visible_product(views, request.context.caller, product_id)
    return single(request, product_view(row), fields, version=row["version"], position=position)


HANDLERS = [list_products, show_product]
