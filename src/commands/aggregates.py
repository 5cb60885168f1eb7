"""The aggregates: which stream type each one has and which function folds its events."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import reduce
from hashlib import sha256
from typing import Any, Generic, TypeVar, get_args, get_type_hints
from uuid import UUID

import msgspec

from domain import (
    administrators,
    order,
    product,
    projection_control,
    reaction_control,
    session,
    user,
)

State = TypeVar("State", bound=msgspec.Struct)
Happened = TypeVar("Happened")


@dataclass(frozen=True)
class Aggregate(Generic[State, Happened]):
    """A kind of stream; `stream_type` is stored and kept for ever.

    Snapshots hold a state as JSON under the fingerprint of its schema and `edition`, so a changed
    schema makes them void; a fold that gives other values in the same schema needs a new edition.
    `subject_of` says whom the personal fields of a stream's events are about; `happened` are the
    kinds of its events.
    """

    stream_type: str
    state: type[State]
    evolve: Callable[[State | None, Happened], State]
    edition: int = 1
    subject_of: Callable[[UUID, State], UUID] | None = None
    fingerprint: str = field(init=False)
    happened: tuple[type[Any], ...] = field(init=False)

    def __post_init__(self) -> None:
        schema = msgspec.json.encode(
            [self.edition, msgspec.json.schema(self.state)], order="sorted"
        )
        object.__setattr__(self, "fingerprint", f"{self.stream_type}:{sha256(schema).hexdigest()}")
        object.__setattr__(self, "happened", get_args(get_type_hints(self.evolve)["event"]))

    def fold(self, events: Iterable[Happened]) -> State | None:
        """Return the state that the events lead to, None without events."""
        return reduce(self.evolve, events, None)

    def decode(self, snapshot: str) -> State:
        """Return the state of a snapshot with this fingerprint."""
        return msgspec.json.decode(snapshot, type=self.state)


ADMINISTRATORS = Aggregate("administrators", administrators.Administrators, administrators.evolve)
ORDER = Aggregate("order", order.Order, order.evolve, subject_of=order.subject_of)
PRODUCT = Aggregate("product", product.Product, product.evolve)
REACTION_CONTROL = Aggregate(
    "reaction_control", reaction_control.ReactionControl, reaction_control.evolve
)
PROJECTION_CONTROL = Aggregate(
    "projection_control", projection_control.ProjectionControl, projection_control.evolve
)
SESSION = Aggregate("session", session.Session, session.evolve)
USER = Aggregate("user", user.User, user.evolve, subject_of=user.subject_of)
