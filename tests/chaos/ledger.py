"""What the shoppers were told: every order that was acknowledged, and what it should be now."""

from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal

Status = Literal["placed", "paid", "cancelled", "refunded"]

UNDONE = {"cancelled", "refunded"}


@dataclass
class Ordered:
    """An order as its shopper knows it."""

    user: str
    product: str
    units: int
    total: Decimal
    day: str
    status: Status = "placed"


@dataclass
class Ledger:
    """The orders by their ids, and the products' stock at the beginning, None: not tracked."""

    orders: dict[str, Ordered] = field(default_factory=dict)
    stock: dict[str, int | None] = field(default_factory=dict)
    answers: Counter[str] = field(default_factory=Counter)


Book = dict[str, object]


def books(orders: dict[str, Ordered], stock: dict[str, int | None]) -> dict[str, Book]:
    """Return what every view must say of some orders: by its name, a value for each key."""
    found: dict[str, Book] = {
        "orders": {key: (one.status, one.total) for key, one in orders.items()},
        "stock": {key: left(key, begun, orders) for key, begun in stock.items()},
        "users": dict(Counter(one.user for one in orders.values())),
    }
    for name, key_of in (("day", "day"), ("product", "product"), ("customer", "user")):
        sums: dict[str, tuple[int, int, Decimal]] = {}
        for one in orders.values():
            if one.status not in UNDONE:
                count, units, revenue = sums.get(getattr(one, key_of), (0, 0, Decimal()))
                sums[getattr(one, key_of)] = (count + 1, units + one.units, revenue + one.total)
        found[f"sales by {name}"] = dict(sums)
    return found


def left(product: str, begun: int | None, orders: dict[str, Ordered]) -> int | None:
    """Return what is left of a product's stock."""
    if begun is None:
        return None
    kept = (one for one in orders.values() if one.product == product and one.status not in UNDONE)
    return begun - sum(one.units for one in kept)
