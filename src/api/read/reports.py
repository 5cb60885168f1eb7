"""Reports over HTTP: sales by day, product or customer."""

from collections.abc import Callable, Mapping
from datetime import date
from typing import NamedTuple, Protocol, TypeVar
from uuid import UUID

import msgspec
from litestar.di import NamedDependency

from api.guards import STAFF, STAFF_OR_AUDITOR, check
from api.read import as_of
from api.read.answers import ViewAnswer, listed
from api.read.lists import ListQuery, given_in, read_values
from api.read.values import Value, choice, day, some_of
from api.read.views import list_route
from api.request import ApiRequest
from api.routes import V1
from projections import sales_by_customer, sales_by_day, sales_by_product
from projections.amounts import MoneyView
from projections.listing import Listing
from projections.pasts.lists import Pasts
from projections.projection import Row
from projections.reading.views import Views

TAG = "Reports"
PERIOD = {
    "from": day("Only sales on this day or later (UTC)."),
    "to": day("Only sales on this day or earlier (UTC)."),
}


class Grouping(NamedTuple):
    """What the sales can be grouped by: the list of it, and how its rows are shown."""

    listing: Listing
    view: type[msgspec.Struct]
    shown: Callable[[Row], msgspec.Struct]


GROUPINGS = {
    "day": Grouping(sales_by_day.LISTING, sales_by_day.DayView, sales_by_day.day_view),
    "product": Grouping(
        sales_by_product.LISTING,
        sales_by_product.ProductSalesView,
        sales_by_product.product_sales_view,
    ),
    "customer": Grouping(
        sales_by_customer.LISTING,
        sales_by_customer.CustomerSalesView,
        sales_by_customer.customer_sales_view,
    ),
}
GROUP = {"groupBy": choice("What a row is for.", GROUPINGS)}
QUERIES = {name: ListQuery(one.listing, one.view, PERIOD) for name, one in GROUPINGS.items()}

Asked_co = TypeVar("Asked_co", covariant=True)


class Query(Protocol[Asked_co]):
    """The parameters of a list, in pages or by cursors."""

    listing: Listing
    values: dict[str, Value]

    def read(self, given: Mapping[str, str], /) -> Asked_co:
        """Return what is asked."""


class SalesView(msgspec.Struct, frozen=True, rename="camel"):
    """What was sold in one currency: `date`, or `productId, sku, name`, or `userId, name`."""

    date: date
    product_id: UUID
    user_id: UUID
    sku: str
    name: str
    orders: int
    units: int
    revenue: MoneyView


def documented(queries: Mapping[str, Query[object]]) -> dict[str, Value]:
    """Return the parameters of all groupings together, for the document."""
    sorts = dict.fromkeys(name for one in queries.values() for name in one.listing.sorts)
    names = [field.encode_name for field in msgspec.structs.fields(SalesView)]
    return {
        **GROUP,
        **queries["day"].values,
        "sortBy": choice("What to sort by: date, else revenue, unless given.", sorts),
        "sortOrder": choice("Which end comes first: dates asc, else desc.", ("asc", "desc")),
        "fields": some_of("Only these fields, a comma list; those of the grouping.", names),
    }


def asked_in(
    request: ApiRequest, queries: Mapping[str, Query[Asked_co]]
) -> tuple[Grouping, Asked_co]:
    """Return by what is grouped, and what is asked of that list; `MalformedRequest`."""
    given = given_in(request)
    # What is missing is refused like what is empty.
    name = read_values(GROUP, {"groupBy": given.pop("groupBy", "")})["groupBy"]
    return GROUPINGS[name], queries[name].read(given)


VALUES = documented(QUERIES)


@list_route(
    f"{V1}/reports/sales",
    SalesView,
    VALUES,
    who=STAFF_OR_AUDITOR,
    summary="Report sales",
    tag=TAG,
    required=GROUP,
    succeeded=True,
)
async def report_sales(
    request: ApiRequest, views: NamedDependency[Views], pasts: NamedDependency[Pasts]
) -> ViewAnswer:
    """Count orders, units and revenue: placed orders but those cancelled or refunded since.

    Currencies are kept apart. The revenue of a day or customer sums orders' rounded totals, that
    of a product its exact lines. Auditors see them only as they were.
    """
    report, asked = asked_in(request, QUERIES)
    if asked.moment:
        past = (report.listing, asked, asked.moment, lambda row, _: report.shown(row))
        return await as_of.listed_as_of(request, pasts, *past)
    check(STAFF, request.context.caller)
    page = await views.list(report.listing, asked.wanted)
    return listed(request, asked, page, [report.shown(row) for row in page.rows])


HANDLERS = [report_sales]
