"""The ceiling: the shipped server with one more route, which does everything but the command.

`python -m benchmarks.noop_app` runs it as `daybook serve` runs the shipped one.
"""

import os
from datetime import UTC, datetime
from decimal import Decimal

from litestar import Litestar
from litestar.di import NamedDependency
from litestar.params import JSONBody

from api import write
from api.envelope import Answer, Success
from api.guards import BUYERS
from api.request import ApiRequest
from api.routes import V1, route
from api.write.idempotency import HEADER
from api.write.intake import Intake, asker_of
from api.write.orders import NewOrder, OrderPlaced, placed
from commands.identifiers import new_id
from commands.orders.place_order import Placed
from commands.receipts import Receipt
from daybook import programs
from daybook.api import both_sides
from daybook.logs import configure_logs
from daybook.settings import Settings
from domain.money import Money

PATH = f"{V1}/no-orders"


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


def app() -> Litestar:
    """Return the shipped application with the route."""
    write.HANDLERS.append(create_no_order)
    return both_sides()


if __name__ == "__main__":
    configure_logs()
    programs.FACTORIES["all"] = "benchmarks.noop_app:app"
    programs.serve(Settings.from_environment(os.environ), "all")
