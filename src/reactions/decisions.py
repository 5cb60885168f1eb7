"""What operators have decided about events whose effect failed, carried out: a reaction as well.

Its effect is in the transaction of its checkpoint, so each decision is carried out exactly once.
"""

from collections.abc import Mapping, Sequence

import structlog
from psycopg import Connection
from psycopg.rows import TupleRow

from domain.reaction_control import ReactionRetryRequested, ReactionSkipRequested
from event_store.event_types import names_of
from event_store.records import Recorded
from reactions.reaction import Reaction

NAME = "operator_decisions"
EVENTS = (ReactionRetryRequested, ReactionSkipRequested)
EVENT_NAMES = names_of(EVENTS)

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


def carrying_out(reactions: Mapping[str, Sequence[str]]) -> Reaction:
    """Return the reaction to operators' decisions about these reactions."""

    def carry_out(connection: Connection[TupleRow], recorded: Recorded) -> None:
        decision = recorded.event
        assert isinstance(decision, EVENTS)  # noqa: S101 - the only ones followed
        name, position = decision.reaction, decision.position
        values = {"name": name, "position": position, "names": list(reactions.get(name, ()))}
        connection.execute(LOCK, [name])
        if isinstance(decision, ReactionRetryRequested):
            found = connection.execute(RETRY, values).rowcount
            found += connection.execute(END_PAUSE, [name]).rowcount
        else:
            found = connection.execute(SKIP, [name, position]).rowcount
            found = found or connection.execute(LEAVE_OUT, values).rowcount
        said = {"reaction": name, "position": position, "found": found}
        log.info("decision_carried_out", kind=type(decision).__name__, **said)

    return Reaction(NAME, EVENTS, carry_out)
