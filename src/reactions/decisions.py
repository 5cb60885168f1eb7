"""What operators have decided about events whose effect failed, carried out: a reaction as well.

Its effect is in the transaction of its checkpoint, so each decision is carried out exactly once.
What came of it is said in the log just before the commit: who dies in between says it once more,
and that is not heard twice.
"""

from collections.abc import Callable, Mapping, Sequence

import msgspec
import structlog
from psycopg import Connection
from psycopg.rows import TupleRow

from domain.reaction_control import Outcome, ReactionRetryRequested, ReactionSkipRequested
from event_store.event_types import names_of
from event_store.records import Recorded
from reactions.reaction import Reaction

NAME = "operator_decisions"
EVENTS = (ReactionRetryRequested, ReactionSkipRequested)
EVENT_NAMES = names_of(EVENTS)

Decision = ReactionRetryRequested | ReactionSkipRequested

log = structlog.get_logger(__name__)

# Whoever acts for the reaction holds this lock while it does.
LOCK = "select position from reaction_checkpoints where name = %s for update"

RETRY = """
update reaction_failures set retry_at = clock_timestamp()
 where name = %(name)s and (%(position)s::bigint is null or position = %(position)s)
"""
# What waits for an outage to end need not wait any longer.
END_PAUSE = (
    "update reaction_checkpoints set retry_at = null where name = %s and failure is not null"
)

SKIP = "delete from reaction_failures where name = %s and position = %s"
# An event that a reaction stands still before, if it is that one.
LEAVE_OUT = """
update reaction_checkpoints c
   set position = %(position)s, moved_at = clock_timestamp(), attempts = 0, failure = null,
       retry_at = null
 where c.name = %(name)s and c.failure is not null
   and %(position)s = (select min(e.position) from events e
                        where e.position > c.position and e.name = any(%(names)s::text[]))
"""


CORRELATION = "select correlation_id from events where position = %s"


class End(msgspec.Struct, frozen=True):
    """What came of a decision; `request` is its position, `correlation_id` that of who decided."""

    reaction: str
    request: int
    correlation_id: str
    outcome: Outcome
    detail: str


def carrying_out(
    reactions: Mapping[str, Sequence[str]], say_end: Callable[[End], None]
) -> Reaction:
    """Return the reaction to operators' decisions about these reactions.

    `say_end` appends what came of one, unless the log has it already; raises `Outage`.
    """

    def carry_out(connection: Connection[TupleRow], recorded: Recorded) -> None:
        decision = recorded.event
        assert isinstance(decision, EVENTS)  # noqa: S101 - the only ones followed
        found = act(connection, decision, list(reactions.get(decision.reaction, ())))
        outcome, detail = told(decision, found)
        row = connection.execute(CORRELATION, [recorded.position]).fetchone()
        assert row is not None  # noqa: S101 - it is the event that is given
        say_end(End(decision.reaction, recorded.position, row[0], outcome, detail))
        log.info(
            "decision_carried_out",
            kind=type(decision).__name__,
            reaction=decision.reaction,
            position=decision.position,
            outcome=outcome,
        )

    return Reaction(NAME, EVENTS, carry_out)


def act(connection: Connection[TupleRow], decision: Decision, names: list[str]) -> int:
    """Do what was decided, and return to how many events that was done."""
    name, position = decision.reaction, decision.position
    values = {"name": name, "position": position, "names": names}
    connection.execute(LOCK, [name])
    if isinstance(decision, ReactionRetryRequested):
        found = connection.execute(RETRY, values).rowcount
        ended = connection.execute(END_PAUSE, [name]).rowcount
        return found or ended
    found = connection.execute(SKIP, [name, position]).rowcount
    return found or connection.execute(LEAVE_OUT, values).rowcount


def told(decision: Decision, found: int) -> tuple[Outcome, str]:
    """Return what came of a decision that concerned so many events, in a word and for people."""
    where = "" if decision.position is None else f" at {decision.position}"
    if not found:
        return "refused", f"{decision.reaction} has not failed{where}."
    if isinstance(decision, ReactionSkipRequested):
        return "done", f"Event {decision.position} is left out."
    return "done", f"{found:,} tried again: the failures say with which success."
