"""The aggregates: which stream type each one has and which function folds its events."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import reduce
from typing import Generic, TypeVar

import msgspec

from domain import administrators, order, product, session, user

State = TypeVar("State", bound=msgspec.Struct)
Happened = TypeVar("Happened")


@dataclass(frozen=True)
class Aggregate(Generic[State, Happened]):
    """A kind of stream; `stream_type` is stored and kept for ever."""

    stream_type: str
    evolve: Callable[[State | None, Happened], State]

    def fold(self, events: Iterable[Happened]) -> State | None:
        """Return the state that the events lead to, None without events."""
        return reduce(self.evolve, events, None)


ADMINISTRATORS = Aggregate[administrators.Administrators, administrators.Event](
    "administrators", administrators.evolve
)
ORDER = Aggregate[order.Order, order.Event]("order", order.evolve)
PRODUCT = Aggregate[product.Product, product.Event]("product", product.evolve)
SESSION = Aggregate[session.Session, session.Event]("session", session.evolve)
USER = Aggregate[user.User, user.Event]("user", user.evolve)
