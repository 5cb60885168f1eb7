"""Import an order: one that was placed, paid and delivered in another system."""

from decimal import Decimal
from uuid import UUID

import msgspec

from commands.aggregates import ORDER
from commands.work import Work
from domain.money import Money
from domain.order import import_fulfilled, line_of


class ImportedLine(msgspec.Struct, frozen=True):
    """A line as the other system had it."""

    product_id: UUID
    sku: str
    name: str
    quantity: int
    unit_price: Decimal


class ImportOrder(msgspec.Struct, frozen=True, kw_only=True):
    """The order; `order_id` derives from the invoice, so that a second import adds nothing."""

    order_id: UUID
    reference: str
    user_id: UUID
    currency: str
    lines: list[ImportedLine]


async def import_order(work: Work, request: ImportOrder) -> None:
    """Take the order over; a `VersionConflict` says that it was imported before."""
    lines = tuple(
        line_of(
            line.product_id,
            line.sku,
            line.name,
            line.quantity,
            Money(line.unit_price, request.currency),
            reserved=False,
        )
        for line in request.lines
    )
    events = import_fulfilled(request.reference, request.user_id, work.now, lines, request.currency)
    work.create(ORDER, request.order_id, events)
