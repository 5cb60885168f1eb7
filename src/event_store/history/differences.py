"""A stream's history as differences: who changed what, from what, to what."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

import msgspec

from event_store.history.entries import Entry

SEALED = "sealed."
SHOWN_SEALED = "(personal, sealed)"


class Difference(msgspec.Struct, frozen=True, rename="camel"):
    """One field that an event set: what the stream's events had said of it before, and says now."""

    field: str
    before: Any
    after: Any


class Change(msgspec.Struct, frozen=True, rename="camel"):
    """One event of a stream, as what it changed."""

    position: int
    version: int
    name: str
    actor_id: str
    actor_role: str
    command: str
    occurred_at: datetime
    differences: list[Difference]


def changes(entries: Iterable[Entry]) -> Iterator[Change]:
    """Yield what each event of a stream changed; the entries begin with the stream's first."""
    known: dict[str, Any] = {}
    for one in entries:
        said = msgspec.json.decode(one.data)
        found = [
            Difference(field, shown(known.get(field)), shown(value))
            for field, value in said.items()
            if field not in known or known[field] != value
        ]
        known |= said
        yield Change(
            one.position,
            one.version,
            one.name,
            one.actor_id,
            one.actor_role,
            one.command,
            one.occurred_at,
            found,
        )


def shown(value: Any) -> Any:
    """Return a value as it is shown: what is sealed says only that."""
    return SHOWN_SEALED if isinstance(value, str) and value.startswith(SEALED) else value
