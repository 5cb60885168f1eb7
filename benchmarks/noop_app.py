"""The ceiling: the shipped server with two routes more, which do all but the command or query.

`python -m benchmarks.noop_app` runs it as `daybook serve` runs the shipped one.
"""

import os
from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

from litestar import Litestar
from litestar.di import NamedDependency
from litestar.params import JSONBody

from api.envelope import Answer, Success
from api.guards import ANYONE, BUYERS
from api.read import handlers as read_side
from api.read.answers import ViewAnswer, single
from api.request import ApiRequest
from api.routes import V1, route
from api.successes import success
from api.write import handlers as write_side
from api.write.idempotency import HEADER
from api.write.intake import Intake, asker_of
from api.write.orders import NewOrder, OrderPlaced, placed
from commands.identifiers import new_id
from commands.orders.place_order import Placed
from commands.receipts import Receipt
from daybook.api import both_sides
from daybook.logs import configure_logs
from daybook.processes import programs
from daybook.settings import Settings
from domain.money import Money
from projections.amounts import MoneyView
from projections.products import ProductView

PATH = f"{V1}/no-orders"
NOTHING = f"{V1}/nothing"
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
PRODUCT = ProductView(
    id=UUID("01900000-0000-7000-8000-000000007ea0"),
    sku="85123A",
    name="White hanging heart",
    price=MoneyView("2.55", "GBP"),
    stock=2_000_000,
    status="for_sale",
    created_at=NOON,
    updated_at=NOON,
    version=1,
)


@route("POST", PATH, who=BUYERS, summary="Place no order", tag="Benchmark", status=201)
async def create_no_order(
    request: ApiRequest, data: JSONBody[NewOrder], intake: NamedDependency[Intake]
) -> Answer[Success[OrderPlaced]]:
    """Read all that placing an order reads of a request, and answer as if one were placed."""
    asker = asker_of(request)
    if HEADER in request.context.headers:
        intake.memory.key_of(request, await request.body(), str(asker.user_id))
    total = Money(Decimal(len(data.items)), "GBP")
    return placed(
        Receipt(
            id=new_id(),
            version=1,
            position=1,
            answer=Placed(total),
            at=datetime.now(UTC),
            request_id=asker.request_id,
        )
    )


@route(
    "GET",
    NOTHING,
    who=ANYONE,
    summary="Show nothing",
    tag="Benchmark",
    answers={200: success(Success[ProductView])},
)
async def show_nothing(request: ApiRequest) -> ViewAnswer:
    """Answer as if a product had been read."""
    return single(request, PRODUCT, None, version=1, position=1)


def app() -> Litestar:
    """Return the shipped application with the routes."""
    write_side.HANDLERS.append(create_no_order)
    read_side.HANDLERS.append(show_nothing)
    return both_sides()


if __name__ == "__main__":
    configure_logs()
    programs.FACTORIES["all"] = "benchmarks.noop_app:app"
    programs.serve(Settings.from_environment(os.environ), "all")
