"""What a reaction declares, and the two ways in which its effect can fail."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from psycopg import Connection
from psycopg.rows import TupleRow

from event_store.event_types import Event, names_of
from event_store.privacy.keyring import NO_KEYS, Keyring
from event_store.records import Recorded

# How often an effect is tried before its event is parked, by what is known of the failure.
ATTEMPTS_IF_REFUSED = 3
ATTEMPTS_IF_UNSURE = 5  # it may have been done each time: few
ATTEMPTS_IF_LATER = 60  # the pauses grow to five minutes: about five hours

ADDRESS = re.compile(r"[^\s<>]+@[^\s<>]+")
LONGEST_REASON = 500

Effect = Callable[[Connection[TupleRow], Recorded], None]


@dataclass(frozen=True)
class Reaction:
    """What is done when some events have happened; `name` is stored and kept for ever.

    `effect` may be called more than once for an event. It raises `Outage` or `Refused`; any other
    exception but a database error is taken for a refusal.
    """

    name: str
    events: Sequence[type[Event]]
    effect: Effect
    keys: Keyring = NO_KEYS  # for events with personal fields
    event_names: list[str] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "event_names", names_of(self.events))


class Outage(Exception):  # noqa: N818 - reads as what was found
    """Nothing can be done for any event at present: the reaction waits, and loses none."""

    def __init__(self, reason: str) -> None:
        super().__init__(masked(reason))


class Refused(Exception):  # noqa: N818 - reads as what was found
    """This one event's effect failed; after so many attempts the event is parked."""

    def __init__(self, reason: str, most_attempts: int = ATTEMPTS_IF_REFUSED) -> None:
        self.most_attempts = most_attempts
        super().__init__(masked(reason))


def masked(reason: str) -> str:
    """Return a reason fit for tables and logs: on one line, without e-mail addresses."""
    return ADDRESS.sub("***", " ".join(reason.split()))[:LONGEST_REASON].replace("\0", "")
