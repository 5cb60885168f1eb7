"""Reports in version 2: the same as in version 1, listed by cursors."""

from litestar.di import NamedDependency

from api.guards import STAFF
from api.links import link_to_next
from api.read.answers import ViewAnswer
from api.read.cursors import Cursors
from api.read.reports import GROUP, GROUPINGS, PERIOD, TAG, SalesView, asked_in, documented
from api.read.v2.stretches import CursorQuery, stretched
from api.read.views import list_route
from api.request import ApiRequest
from api.routes import V2
from projections.reading.views import Views

QUERIES = {name: CursorQuery(one.listing, one.view, PERIOD) for name, one in GROUPINGS.items()}
VALUES = documented(QUERIES)


@list_route(
    f"{V2}/reports/sales",
    SalesView,
    VALUES,
    who=STAFF,
    summary="Report sales",
    tag=TAG,
    required=GROUP,
    links=link_to_next("reportSalesV2", VALUES),
)
async def report_sales_v2(
    request: ApiRequest, views: NamedDependency[Views], cursors: NamedDependency[Cursors]
) -> ViewAnswer:
    """Count orders, units and revenue: placed orders but those cancelled or refunded since."""
    report, asked = asked_in(request, QUERIES)
    return await stretched(request, views, cursors, report.listing, asked, report.shown)


HANDLERS = [report_sales_v2]
