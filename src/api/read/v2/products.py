"""Products in version 2: the same as in version 1, listed by cursors."""

from litestar.di import NamedDependency

from api.guards import ANYONE
from api.links import FIRST, ID, link_to_next, links_to
from api.read.access import limit_products, visible_product
from api.read.answers import ViewAnswer, single
from api.read.cursors import Cursors
from api.read.lists import given_in, read_values
from api.read.products import FILTERS, ONE, TAG, ProductId
from api.read.v2.stretches import CursorQuery, stretched
from api.read.views import list_route, single_route
from api.request import ApiRequest
from api.routes import V2
from projections.products import LISTING, ProductView, product_view
from projections.reading.views import Views

LIST = CursorQuery(LISTING, ProductView, FILTERS)


@list_route(
    f"{V2}/products",
    ProductView,
    LIST.values,
    who=ANYONE,
    summary="List products",
    tag=TAG,
    refusals=["FORBIDDEN"],
    links={
        **links_to("showProductV2", product_id=FIRST),
        **link_to_next("listProductsV2", LIST.values),
    },
)
async def list_products_v2(
    request: ApiRequest, views: NamedDependency[Views], cursors: NamedDependency[Cursors]
) -> ViewAnswer:
    """List what is for sale; to staff also what was withdrawn."""
    asked = LIST.read(given_in(request))
    limit_products(request.context.caller, asked.filters)
    return await stretched(request, views, cursors, LISTING, asked, product_view)


@single_route(
    f"{V2}/products/{{product_id:str}}",
    ProductView,
    ONE,
    who=ANYONE,
    summary="Show a product",
    tag=TAG,
    links=links_to("listOrdersV2", productId=ID),
)
async def show_product_v2(
    request: ApiRequest, product_id: ProductId, views: NamedDependency[Views]
) -> ViewAnswer:
    """Show a product that is for sale; to staff also one that was withdrawn."""
    fields = read_values(ONE, given_in(request)).get("fields")
    row, position = await visible_product(views, request.context.caller, product_id)
    return single(request, product_view(row), fields, version=row["version"], position=position)


HANDLERS = [list_products_v2, show_product_v2]
