"""The event streams over HTTP: an order's for its owner and staff, the whole log's for staff."""

import re
from collections.abc import Callable
from typing import Any
from uuid import UUID

from litestar.di import NamedDependency
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import OpenAPIHeader, Parameter, Schema
from litestar.openapi.spec.enums import OpenAPIType
from litestar.types import AnyCallable

from api.envelope import Answer, Failure
from api.errors import MalformedRequest, failure
from api.guards import SIGNED_IN, STAFF, Who
from api.read.lists import given_in, read_values
from api.read.live.events import OrderEvent, ProductEvent, UserEvent
from api.read.live.hub import Full, Hub
from api.read.live.listener import Listener
from api.read.live.sending import EventStream
from api.read.orders import OrderId
from api.read.values import Value
from api.read.views import operation, parameter
from api.request import ApiRequest
from api.routes import V1, route
from domain.refusal import Detail

TAG = "Live"
POSITION = re.compile(r"[0-9]{1,18}")
LAST_EVENT_ID = Parameter(
    name="Last-Event-ID",
    param_in="header",
    description="The id of the last event that the client has; it gets those after it.",
    schema=Schema(type=OpenAPIType.STRING, pattern=f"^{POSITION.pattern}$"),
)
BEGINS = OpenAPIHeader(
    description="The position in the log after which the stream begins.",
    schema=Schema(type=OpenAPIType.INTEGER, minimum=0),
    required=True,
)


def position_of(text: str) -> int:
    """Read a position in the log; ValueError if it is none."""
    if not POSITION.fullmatch(text):
        raise ValueError
    return int(text)


AFTER = {
    "after": Value(
        "Begin after this position, for clients that cannot send Last-Event-ID, which counts if"
        " there is one. Without both the stream begins now.",
        "a position in the log",
        position_of,
        Schema(type=OpenAPIType.INTEGER, minimum=0),
    )
}


def stream_route(
    path: str, shape: Any, *, who: Who, summary: str, refusals: tuple[str, ...] = ()
) -> Callable[[AnyCallable], HTTPRouteHandler]:
    """Declare an event stream; `shape` is what each event has as its `data`, in JSON."""
    told = ResponseSpec(
        shape,
        generate_examples=False,
        media_type="text/event-stream",
        description="Server-sent events; the schema is that of each event's `data`.",
    )
    parameters = [*(parameter(*one, ()) for one in AFTER.items()), LAST_EVENT_ID]
    return route(
        "GET",
        path,
        who=who,
        summary=summary,
        tag=TAG,
        refusals=["UNAVAILABLE", *refusals],
        query=AFTER,
        answers={200: told},
        operation=operation(parameters, [BEGINS]),
    )


@stream_route(
    f"{V1}/orders/{{order_id:str}}/events",
    OrderEvent,
    who=SIGNED_IN,
    summary="Follow an order",
    refusals=("NOT_FOUND",),
)
async def follow_order(
    request: ApiRequest, order_id: OrderId, hub: NamedDependency[Hub]
) -> EventStream | Answer[Failure]:
    """Follow what happens to one's own order, or to any for staff; notes are told to staff only.

    Each event has the changed fields as the order has them, and as its id its position in the log.
    A client that comes back with `Last-Event-ID`, or after reading the order with that answer's
    `Daybook-Position`, misses nothing and gets nothing twice. A stream ends with the access token.
    """
    return await stream(request, hub, order_id)


@stream_route(
    f"{V1}/feed", OrderEvent | ProductEvent | UserEvent, who=STAFF, summary="Follow everything"
)
async def follow_all(
    request: ApiRequest, hub: NamedDependency[Hub]
) -> EventStream | Answer[Failure]:
    """Follow what happens to orders, products and users, in the order of the log.

    It has no e-mail addresses or names of people: for those, get the user. Resuming is as with an
    order.
    """
    return await stream(request, hub, None)


async def stream(
    request: ApiRequest, hub: Hub, order_id: UUID | None
) -> EventStream | Answer[Failure]:
    """Begin where the client says, or now."""
    asked = asked_position(request)
    position = await hub.head() if asked is None else asked
    listener = Listener(request.caller, position, order_id, for_staff=request.caller.is_staff)
    try:
        hub.open(listener)
    except Full:
        message = "No more event streams can be opened here right now: try again in a moment."
        return failure(request, "UNAVAILABLE", message, headers=[(b"retry-after", b"5")])
    try:
        first = await hub.catch_up(listener)
    except BaseException:
        hub.close(listener)
        raise
    return EventStream(hub, listener, first)


def asked_position(request: ApiRequest) -> int | None:
    """Return after which position the client wants to begin; `MalformedRequest` if it is none."""
    asked = read_values(AFTER, given_in(request)).get("after")
    header = request.context.headers.get(b"last-event-id")
    if not header:
        return asked
    try:
        return position_of(header.decode("latin-1"))
    except ValueError:
        detail = Detail("Last-Event-ID", "This must be the id of an event.")
        raise MalformedRequest(None, detail) from None


HANDLERS = [follow_order, follow_all]
