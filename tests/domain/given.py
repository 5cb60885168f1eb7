"""Where the domain's tests begin: a state from its events, ids, prices and lines."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from decimal import Decimal
from functools import reduce
from typing import Any, TypeVar
from uuid import UUID

from domain.money import Money
from domain.order import Line, line_of

State = TypeVar("State")

ALICE = UUID("01900000-0000-7000-8000-00000000a11c")
BOB = UUID("01900000-0000-7000-8000-000000000b0b")
TEAPOT = UUID("01900000-0000-7000-8000-000000007ea0")
LANTERN = UUID("01900000-0000-7000-8000-00000001a000")
ORDER = UUID("01900000-0000-7000-8000-00000000c0de")
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


def state_of(evolve: Callable[[State | None, Any], State], events: Iterable[Any]) -> State:
    """Fold the events; there is at least one."""
    state: State | None = reduce(evolve, events, None)
    assert state is not None
    return state


def pounds(amount: str) -> Money:
    """Return an amount in pounds sterling."""
    return Money(Decimal(amount), "GBP")


def line(
    quantity: int = 2, price: str = "4.25", *, product_id: UUID = TEAPOT, reserved: bool = True
) -> Line:
    """Return a line of an order."""
    return line_of(product_id, "TEA-1", "Teapot", quantity, pounds(price), reserved=reserved)
