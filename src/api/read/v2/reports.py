"""Reports in version 2: the same as in version 1, listed by cursors."""

from collections.abc import Callable
from typing import NamedTuple

import msgspec
from litestar.di import NamedDependency

from api.guards import STAFF
from api.read import moments, reports
from api.read.answers import ViewAnswer
from api.read.cursors import Cursors
from api.read.lists import given_in, read_values
from api.read.reports import GROUP, PERIOD, TAG, SalesView
from api.read.v2.stretches import CursorQuery, stretched
from api.read.views import list_route
from api.request import ApiRequest
from api.routes import V2
from projections import sales_by_customer, sales_by_day, sales_by_product
from projections.projection import Row
from projections.views import Views


class Report(NamedTuple):
    """One grouping of the sales: what it is asked for and how its rows are shown."""

    query: CursorQuery
    shown: Callable[[Row], msgspec.Struct]


REPORTS = {
    "day": Report(
        CursorQuery(sales_by_day.LISTING, sales_by_day.DayView, PERIOD), sales_by_day.day_view
    ),
    "product": Report(
        CursorQuery(sales_by_product.LISTING, sales_by_product.ProductSalesView, PERIOD),
        sales_by_product.product_sales_view,
    ),
    "customer": Report(
        CursorQuery(sales_by_customer.LISTING, sales_by_customer.CustomerSalesView, PERIOD),
        sales_by_customer.customer_sales_view,
    ),
}
VALUES = {
    "cursor": REPORTS["day"].query.values["cursor"],
    **{
        name: value
        for name, value in reports.VALUES.items()
        if name not in {"page", *moments.VALUES}
    },
}


@list_route(
    f"{V2}/reports/sales",
    SalesView,
    VALUES,
    who=STAFF,
    summary="Report sales",
    tag=TAG,
    required=GROUP,
)
async def report_sales_v2(
    request: ApiRequest, views: NamedDependency[Views], cursors: NamedDependency[Cursors]
) -> ViewAnswer:
    """Count orders, units and revenue: placed orders but those cancelled or refunded since."""
    given = given_in(request)
    group = read_values(GROUP, {"groupBy": given.pop("groupBy", "")})
    report = REPORTS[group["groupBy"]]
    asked = report.query.read(given)
    return await stretched(request, views, cursors, report.query.listing, asked, report.shown)


HANDLERS = [report_sales_v2]
