"""Orders over HTTP: place, pay, ship, deliver, cancel, refund, note."""

from typing import Annotated
from uuid import UUID

import msgspec
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from api.envelope import Answer, Success
from api.guards import BUYERS, STAFF
from api.links import ID, links_to, links_to_view
from api.money import MoneyText, money_text
from api.request import ApiRequest
from api.routes import V1, route
from api.write.intake import Intake
from api.write.receipts import Changed, changed, check_no_body, created
from api.write.texts import described, written
from commands.orders.add_order_note import AddOrderNote, add_order_note
from commands.orders.cancel_order import CancelOrder, cancel_order
from commands.orders.deliver_order import DeliverOrder, deliver_order
from commands.orders.pay_order import PayOrder, pay_order
from commands.orders.place_order import Item, Placed, PlaceOrder, place_order
from commands.orders.refund_order import RefundOrder, refund_order
from commands.orders.ship_order import ShipOrder, ship_order
from commands.receipts import Receipt, Refused, RememberedRefusal
from domain.order import MOST_LINES
from domain.refusal import NotFound, Refusal

TAG = "Orders"
ORDER = f"{V1}/orders/{{order_id:str}}"
REFUSALS = ("NOT_FOUND", "INVALID_STATE", "VERSION_CONFLICT", "PRECONDITION_FAILED")
PLACING = ("OUT_OF_STOCK", "INVALID_STATE", "VERSION_CONFLICT", "PRECONDITION_FAILED")

# What an order may come to, from wherever it is.
OF_ORDER = {**links_to_view("showOrder", order_id=ID), **links_to("createNote", order_id=ID)}
PLACED = {
    **OF_ORDER,
    **links_to("createPayment", order_id=ID, body={"amount": "$response.body#/data/total"}),
    **links_to("createCancellation", order_id=ID),
}
PAID = {
    **OF_ORDER,
    **links_to("createShipment", "createCancellation", "createRefund", order_id=ID),
}
SHIPPED = {**OF_ORDER, **links_to("createDelivery", "createRefund", order_id=ID)}
DELIVERED = {**OF_ORDER, **links_to("createRefund", order_id=ID)}

Reason = Annotated[str, written("ordered twice", 500)]
Items = Annotated[list[Item], described(min_items=1, max_items=MOST_LINES)]


class Body(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """What all bodies here have in common."""


class NewOrder(Body, frozen=True):
    """What to order; staff may say for whom."""

    items: Items
    user_id: UUID | None = None


class NewOrderOfUser(Body, frozen=True):
    """What to order for the user of the path."""

    items: Items


class Payment(Body, frozen=True):
    """What was received; the amount is the order's total."""

    reference: Annotated[str, written("INV-1001")]
    amount: MoneyText


class Shipment(Body, frozen=True):
    """Who carries the goods."""

    carrier: Annotated[str, written("Royal Mail", 100)]
    tracking_number: Annotated[str, written("RM123456789GB", 100)]


class Why(Body, frozen=True):
    """The reason."""

    reason: Reason


class Note(Body, frozen=True):
    """What to remember."""

    text: Annotated[str, written("Leave it with the neighbour.", 2_000, lines=True)]


class OrderPlaced(msgspec.Struct, frozen=True, rename="camel"):
    """The new order and what it costs."""

    id: UUID
    version: int
    total: MoneyText


@route(
    "POST",
    f"{V1}/orders",
    who=BUYERS,
    summary="Place an order",
    tag=TAG,
    status=201,
    refusals=PLACING,
    links=PLACED,
)
async def create_order(
    request: ApiRequest, data: JSONBody[NewOrder], intake: NamedDependency[Intake]
) -> Answer[Success[OrderPlaced]]:
    """Order at the catalogue's prices; stock is reserved for all items or for none."""
    command = PlaceOrder(items=data.items, user_id=data.user_id)
    return placed(await intake.take(request, place_order, command))


@route(
    "POST",
    f"{V1}/users/{{user_id:str}}/orders",
    who=BUYERS,
    summary="Place an order for a user",
    tag=TAG,
    status=201,
    refusals=[*PLACING, "NOT_FOUND"],
    links=PLACED,
)
async def create_order_of_user(
    request: ApiRequest,
    user_id: FromPath[UUID],
    data: JSONBody[NewOrderOfUser],
    intake: NamedDependency[Intake],
) -> Answer[Success[OrderPlaced]]:
    """Order for oneself, or as staff for anybody."""
    if user_id != request.caller.user_id and not request.caller.is_staff:
        raise NotFound
    command = PlaceOrder(items=data.items, user_id=user_id)
    try:
        receipt = await intake.take(request, place_order, command)
    except Refusal as refusal:
        if refusal.details and refusal.details[0].field == "userId":
            raise no_such_user(refusal) from refusal
        raise
    return placed(receipt)


def no_such_user(refusal: Refusal) -> Refusal:
    """Return a refusal of a field when the user is the resource; it may be one of before."""
    if not isinstance(refusal, RememberedRefusal):
        return NotFound()
    told = Refused(NotFound.code, NotFound.sentence, ())
    return RememberedRefusal(told, refusal.at, refusal.request_id, repeated=refusal.repeated)


@route(
    "POST",
    f"{ORDER}/payment",
    who=STAFF,
    summary="Record an order's payment",
    tag=TAG,
    refusals=REFUSALS,
    links=PAID,
)
async def create_payment(
    request: ApiRequest,
    order_id: FromPath[UUID],
    data: JSONBody[Payment],
    intake: NamedDependency[Intake],
) -> Answer[Success[Changed]]:
    """Record that exactly the total was received."""
    command = PayOrder(order_id=order_id, reference=data.reference, amount=data.amount.value())
    return changed(await intake.take(request, pay_order, command))


@route(
    "POST",
    f"{ORDER}/shipment",
    who=STAFF,
    summary="Ship an order",
    tag=TAG,
    refusals=REFUSALS,
    links=SHIPPED,
)
async def create_shipment(
    request: ApiRequest,
    order_id: FromPath[UUID],
    data: JSONBody[Shipment],
    intake: NamedDependency[Intake],
) -> Answer[Success[Changed]]:
    """Hand a paid order to a carrier."""
    command = ShipOrder(
        order_id=order_id, carrier=data.carrier, tracking_number=data.tracking_number
    )
    return changed(await intake.take(request, ship_order, command))


@route(
    "POST",
    f"{ORDER}/delivery",
    who=STAFF,
    summary="Record an order's delivery",
    tag=TAG,
    refusals=REFUSALS,
    links=DELIVERED,
)
async def create_delivery(
    request: ApiRequest, order_id: FromPath[UUID], intake: NamedDependency[Intake]
) -> Answer[Success[Changed]]:
    """Record that a shipped order arrived."""
    await check_no_body(request)
    command = DeliverOrder(order_id=order_id)
    return changed(await intake.take(request, deliver_order, command))


@route(
    "POST",
    f"{ORDER}/cancellation",
    who=BUYERS,
    summary="Cancel an order",
    tag=TAG,
    refusals=REFUSALS,
    links=OF_ORDER,
)
async def create_cancellation(
    request: ApiRequest,
    order_id: FromPath[UUID],
    data: JSONBody[Why],
    intake: NamedDependency[Intake],
) -> Answer[Success[Changed]]:
    """Call an order off before it is shipped: one's own, or any as staff. Stock goes back."""
    command = CancelOrder(order_id=order_id, reason=data.reason)
    return changed(await intake.take(request, cancel_order, command))


@route(
    "POST",
    f"{ORDER}/refund",
    who=STAFF,
    summary="Refund an order",
    tag=TAG,
    refusals=REFUSALS,
    links=OF_ORDER,
)
async def create_refund(
    request: ApiRequest,
    order_id: FromPath[UUID],
    data: JSONBody[Why],
    intake: NamedDependency[Intake],
) -> Answer[Success[Changed]]:
    """Give the money of a paid order back."""
    command = RefundOrder(order_id=order_id, reason=data.reason)
    return changed(await intake.take(request, refund_order, command))


@route(
    "POST",
    f"{ORDER}/notes",
    who=STAFF,
    summary="Add a note to an order",
    tag=TAG,
    refusals=REFUSALS,
    links=OF_ORDER,
)
async def create_note(
    request: ApiRequest,
    order_id: FromPath[UUID],
    data: JSONBody[Note],
    intake: NamedDependency[Intake],
) -> Answer[Success[Changed]]:
    """Write something down about an order."""
    command = AddOrderNote(order_id=order_id, text=data.text)
    return changed(await intake.take(request, add_order_note, command))


def placed(receipt: Receipt[Placed]) -> Answer[Success[OrderPlaced]]:
    """Answer with the new order."""
    total = money_text(receipt.answer.total)
    data = OrderPlaced(receipt.id, receipt.version, total)
    return created(receipt, f"{V1}/orders/{receipt.id}", data)


HANDLERS = [
    create_order,
    create_order_of_user,
    create_payment,
    create_shipment,
    create_delivery,
    create_cancellation,
    create_refund,
    create_note,
]
