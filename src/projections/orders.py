"""The orders: what was bought by whom, and how far each order has come."""

from datetime import datetime
from decimal import Decimal
from uuid import UUID

import msgspec
from sqlalchemy import Column, DateTime, Integer, MetaData, Numeric, Table, Text, Uuid, bindparam
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from domain import order
from domain.personal import FORGOTTEN
from event_store.history.questions import Question
from event_store.records import Recorded
from projections.amounts import MoneyView, money_view
from projections.listing import Listing, alone, as_is, range_of
from projections.openings import LineSet, LineViews, Opening, Recording
from projections.projection import OwnRow, Projection, Row, Rows
from projections.sums import Fact, LineFact

ORDERS = Table(
    "orders_v1",
    MetaData(),
    Column("id", Uuid, primary_key=True),
    Column("user_id", Uuid),
    Column("status", Text),
    Column("reference", Text),  # the invoice of an imported order
    Column("currency", Text),
    Column("total", Numeric),
    Column("units", Integer),
    Column("lines", JSONB),
    Column("product_ids", ARRAY(Uuid)),
    Column("placed_at", DateTime(timezone=True)),
    Column("updated_at", DateTime(timezone=True)),
    Column("payment", JSONB),
    Column("shipment", JSONB),
    Column("delivered_at", DateTime(timezone=True)),
    Column("cancellation", JSONB),
    Column("refund", JSONB),
    Column("notes", JSONB),
    Column("version", Integer),
)


# What the columns of JSON hold, stored as it is shown.


class ItemView(msgspec.Struct, frozen=True, rename="camel"):
    """A line of an order; the amount is exact."""

    product_id: UUID
    sku: str
    name: str
    quantity: int
    unit_price: MoneyView
    amount: MoneyView


class PaymentView(msgspec.Struct, frozen=True, rename="camel"):
    """How and when it was paid."""

    reference: str
    at: datetime


class ShipmentView(msgspec.Struct, frozen=True, rename="camel"):
    """How and when it was shipped."""

    carrier: str
    tracking_number: str
    at: datetime


class ReasonView(msgspec.Struct, frozen=True):
    """Why and when."""

    reason: str
    at: datetime


class NoteView(msgspec.Struct, frozen=True):
    """What staff wrote and when."""

    text: str
    at: datetime


# The texts of these columns are about a person.
PERSONAL = {"shipment": "trackingNumber", "cancellation": "reason", "refund": "reason"}


def fold(rows: Rows, recorded: Recorded) -> None:
    """Move one order's row."""
    event = recorded.event
    if type(event) in OPENING.events:
        rows.put(ORDERS, OPENING.row(recorded))
        return
    row = rows.change(ORDERS, recorded.stream_id)
    row["version"] = recorded.version
    row["updated_at"] = recorded.occurred_at
    at = recorded.occurred_at
    match event:
        case order.OrderPaid(reference):
            row["status"] = "paid"
            row["payment"] = PaymentView(reference, at)
        case order.OrderShipped(carrier, tracking_number):
            row["status"] = "shipped"
            row["shipment"] = ShipmentView(carrier, tracking_number, at)
        case order.OrderDelivered():
            row["status"], row["delivered_at"] = "delivered", at
        case order.OrderCancelled(reason):
            row["status"], row["cancellation"] = "cancelled", ReasonView(reason, at)
        case order.OrderRefunded(reason):
            row["status"], row["refund"] = "refunded", ReasonView(reason, at)
        case order.OrderNoteAdded(text):
            row["notes"] = [*row["notes"], NoteView(text, at)]
        case order.OrderForgotten():
            fold_forgotten(row)


def fold_forgotten(row: Row) -> None:
    """Overwrite what people wrote of the buyer, and leave when they wrote it."""
    for column, field in PERSONAL.items():
        if row[column] is not None:
            row[column] = without(row[column], field)
    row["notes"] = [without(note, "text") for note in row["notes"]]


def without(text: object, field: str) -> dict[str, object]:
    """Return a JSON value whose field is forgotten."""
    return {**msgspec.to_builtins(text), field: FORGOTTEN}


CURRENCY = Fact("total.currency", str)
ITEM_VIEWS = LineViews(ItemView, CURRENCY)
OPENING = Opening(
    table=ORDERS,
    lines="lines",
    columns={
        "id": Recording("stream_id"),
        "user_id": Fact("user_id", UUID),
        "status": "placed",
        "reference": None,
        "currency": CURRENCY,
        "total": Fact("total.amount", Decimal),
        "units": LineFact("quantity", int),
        "lines": ITEM_VIEWS,
        "product_ids": LineSet(LineFact("product_id", UUID)),
        "placed_at": Fact("placed_at", datetime),
        "updated_at": Recording("occurred_at"),
        "payment": None,
        "shipment": None,
        "delivered_at": None,
        "cancellation": None,
        "refund": None,
        "notes": (),
        "version": Recording("version"),
    },
    events={
        order.OrderPlaced: {},
        # From elsewhere, where it was delivered when it was placed.
        order.OrderImported: {
            "status": "delivered",
            "reference": Fact("reference", str),
            "delivered_at": Fact("placed_at", datetime),
        },
    },
)

PROJECTION = Projection(
    name="orders",
    version=1,
    tables=[ORDERS],
    events=[
        order.OrderPlaced,
        order.OrderImported,
        order.OrderPaid,
        order.OrderShipped,
        order.OrderDelivered,
        order.OrderCancelled,
        order.OrderRefunded,
        order.OrderNoteAdded,
        order.OrderForgotten,
    ],
    key="id",
    needs=OwnRow(ORDERS),
    fold=fold,
    opening=OPENING,
)


class OrderView(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """An order. `reference`: the invoice, if imported. `notes`: for staff only."""

    id: UUID
    user_id: UUID
    status: order.Status
    reference: str | None
    total: MoneyView
    items: list[ItemView]
    placed_at: datetime
    updated_at: datetime
    payment: PaymentView | None
    shipment: ShipmentView | None
    delivered_at: datetime | None
    cancellation: ReasonView | None
    refund: ReasonView | None
    notes: list[NoteView] | msgspec.UnsetType
    version: int


class HistoryView(msgspec.Struct, frozen=True):
    """When an order came to a state."""

    status: order.Status
    at: datetime


class OrderV2View(OrderView, frozen=True, rename="camel", kw_only=True):
    """An order with all states that it has come through, the oldest first."""

    history: list[HistoryView]


ITEMS = msgspec.json.Decoder(list[ItemView])
PAYMENT = msgspec.json.Decoder(PaymentView)
SHIPMENT = msgspec.json.Decoder(ShipmentView)
REASON = msgspec.json.Decoder(ReasonView)
NOTES = msgspec.json.Decoder(list[NoteView])


def order_view(row: Row, *, for_staff: bool) -> OrderView:
    """Show a row; only staff see the notes."""
    return OrderView(**order_fields(row, for_staff=for_staff))


def order_v2_view(row: Row, *, for_staff: bool) -> OrderV2View:
    """Show a row in version 2."""
    shown = order_fields(row, for_staff=for_staff)
    return OrderV2View(**shown, history=history(OrderView(**shown)))


def order_fields(row: Row, *, for_staff: bool) -> Row:
    """Return what a row shows."""
    return {
        "id": row["id"],
        "user_id": row["user_id"],
        "status": row["status"],
        "reference": row["reference"],
        "total": money_view(row["total"], row["currency"]),
        "items": ITEMS.decode(row["lines"]),
        "placed_at": row["placed_at"],
        "updated_at": row["updated_at"],
        "payment": row["payment"] and PAYMENT.decode(row["payment"]),
        "shipment": row["shipment"] and SHIPMENT.decode(row["shipment"]),
        "delivered_at": row["delivered_at"],
        "cancellation": row["cancellation"] and REASON.decode(row["cancellation"]),
        "refund": row["refund"] and REASON.decode(row["refund"]),
        "notes": NOTES.decode(row["notes"]) if for_staff else msgspec.UNSET,
        "version": row["version"],
    }


def history(shown: OrderView) -> list[HistoryView]:
    """Return the states that an order has come through; it comes to each of them once."""
    reached: list[tuple[order.Status, datetime | None]] = [
        ("placed", shown.placed_at),
        ("paid", shown.payment.at if shown.payment else None),
        ("shipped", shown.shipment.at if shown.shipment else None),
        ("delivered", shown.delivered_at),
        ("cancelled", shown.cancellation.at if shown.cancellation else None),
        ("refunded", shown.refund.at if shown.refund else None),
    ]
    return [HistoryView(status, at) for status, at in reached if at is not None]


LISTING = Listing(
    projection=PROJECTION,
    rows=ORDERS,
    filters={
        "status": (ORDERS.c.status == bindparam("status"), as_is),
        "userId": (ORDERS.c.user_id == bindparam("userId"), as_is),
        "placedFrom": (ORDERS.c.placed_at >= bindparam("placedFrom"), as_is),
        "placedTo": (ORDERS.c.placed_at < bindparam("placedTo"), as_is),
        "minTotal": (ORDERS.c.total >= bindparam("minTotal"), as_is),
        "maxTotal": (ORDERS.c.total <= bindparam("maxTotal"), as_is),
        "productId": (ORDERS.c.product_ids.contains(bindparam("productId")), alone),
    },
    keys=frozenset({"userId"}),
    ranges=[
        range_of("placedFrom", "placedTo", ORDERS.c.placed_at.type),
        range_of("minTotal", "maxTotal", ORDERS.c.total.type),
    ],
    sorts={
        "placedAt": ["placed_at"],
        "updatedAt": ["updated_at"],
        "total": ["total"],
        "status": ["status", "placed_at"],
    },
    default_sort="placedAt",
    streams={
        "userId": lambda user_id: Question(facts={"stream_type": "order"}, subject=user_id),
        "productId": lambda product_id: Question(
            facts={"stream_type": "order"}, data={"data.lines.product_id": str(product_id)}
        ),
    },
)
