"""The road from the log to an effect: one event, its effect and the checkpoint, then the next.

An effect cannot be rolled back, so each event has a transaction of its own: what dies between the
effect and the commit is done once more, and nothing else is.
"""

import traceback

import psycopg
from psycopg import Connection
from psycopg.rows import TupleRow

from event_store import reading
from event_store.event_types import UnknownEvent
from event_store.privacy.keyring import NoMasterKey
from event_store.privacy.master_keys import WrongMasterKey
from reactions import checkpoints, failures
from reactions.reaction import Outage, Reaction, Refused

# Another release knows the event, another key opens it: no event is at fault, none is passed over.
WAITS_FOR_AN_OPERATOR = (UnknownEvent, NoMasterKey, WrongMasterKey)
MOST_AT_ONCE = 100
STRETCH = 2_000

FIRST = f"{reading.PAGE} limit 1"


def follow(connection: Connection[TupleRow], reaction: Reaction) -> int:
    """React to what has happened; return to how many events, at most a hundred in one call.

    Returns at once what another worker is at.
    """
    for done in range(MOST_AT_ONCE):
        behind, failed = checkpoints.news(connection, reaction.name)
        if failed and retry(connection, reaction):
            continue
        if behind and react(connection, reaction):
            continue
        return done
    return MOST_AT_ONCE


def react(connection: Connection[TupleRow], reaction: Reaction) -> bool:
    """React to the next event of the log; False if there is none, or nothing can be done now."""
    with connection.transaction():
        after = checkpoints.take(connection, reaction.name)
        if after is None:
            return False
        upto, row = next_event(connection, reaction, after)
        dealt_with = row is None or deal_with(connection, reaction, row)
        if dealt_with:
            checkpoints.move(connection, reaction.name, upto)
        return dealt_with and row is not None


def retry(connection: Connection[TupleRow], reaction: Reaction) -> bool:
    """React once more to an event that failed before; False if there is none to be tried now."""
    with connection.transaction():
        if checkpoints.take(connection, reaction.name) is None:
            return False
        position = failures.next_due(connection, reaction.name)
        if position is None:
            return False
        _, row = next_event(connection, reaction, position - 1)
        assert row is not None  # noqa: S101 - the log keeps every event
        return deal_with(connection, reaction, row)


def next_event(
    connection: Connection[TupleRow], reaction: Reaction, after: int
) -> tuple[int, TupleRow | None]:
    """Return the reaction's next event as it is stored and its position; None: the log's end."""
    end = reading.head(connection)
    while after < end:
        upto = min(end, after + STRETCH)
        values = [after, upto, reaction.event_names]
        row = connection.execute(FIRST, values, prepare=True).fetchone()
        if row is not None:
            return row[0], row
        after = upto
    return after, None


def deal_with(connection: Connection[TupleRow], reaction: Reaction, row: TupleRow) -> bool:
    """Bring an event's effect about, or note why not; False if it has to wait."""
    trouble = attempt(connection, reaction, row)
    if isinstance(trouble, Outage):
        checkpoints.hold(connection, reaction.name, trouble)
        return False
    if trouble is None:
        failures.forget(connection, reaction.name, row[0])
    else:
        failures.note(connection, reaction.name, row[0], trouble)
    return True


def attempt(
    connection: Connection[TupleRow], reaction: Reaction, row: TupleRow
) -> Outage | Refused | None:
    """Bring an event's effect about; return what prevented it."""
    try:
        [event] = reading.all_recorded(connection, [row], reaction.keys)
        reaction.effect(connection, event)
    except (Outage, Refused) as trouble:
        return trouble
    except WAITS_FOR_AN_OPERATOR as error:
        return Outage(str(error))
    except psycopg.Error:
        raise
    except Exception as error:  # noqa: BLE001 - whatever it is, the other events go on
        return Refused(described(error))
    return None


def described(error: BaseException) -> str:
    """Tell what an unexpected error was and where it arose."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} in {place.name} line {place.lineno}: {error}"
