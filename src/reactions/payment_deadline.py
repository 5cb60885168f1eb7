"""The payment deadline: an order that nobody pays within the window is cancelled by the system."""

from collections.abc import Callable, Sequence
from datetime import timedelta

import structlog
from psycopg import Connection
from psycopg.rows import TupleRow

from commands.execution import TooMuchContention
from commands.work import PreconditionFailed
from domain.order import OrderCancelled, OrderPaid, OrderPlaced
from event_store import reading
from event_store.event_types import names_of
from event_store.records import Recorded, StoreUnavailable
from reactions import checkpoints, failures
from reactions.engine import STRETCH, WAITS_FOR_AN_OPERATOR, described, retry
from reactions.reaction import Outage, Reaction, Refused
from reactions.system_actor import Overdue

NAME = "payment_deadline"
BEGINNINGS = names_of((OrderPlaced,))
ENDS = names_of((OrderPaid, OrderCancelled))
# More at once would mostly be in each other's way: orders of one day share their products.
AT_ONCE = 8
# The order stays due: it has changed, or Postgres is away.
SOON = (StoreUnavailable, PreconditionFailed, TooMuchContention)
LATER = (*SOON, *WAITS_FOR_AN_OPERATOR)

log = structlog.get_logger(__name__)

CancelUnpaid = Callable[[Sequence[Overdue]], list[BaseException | None]]

# By the clock of the log, which is also the one that says when an order is due.
BEGIN = """
insert into payment_deadlines (order_id, due_at, placed_position)
select stream_id, recorded_at + %s, position
  from events
 where position > %s and position <= %s and name = any(%s)
on conflict (order_id) do nothing
"""

END = """
delete from payment_deadlines d
 using events e
 where e.position > %s and e.position <= %s and e.name = any(%s) and d.order_id = e.stream_id
"""

DUE = """
select d.order_id, d.placed_position, e.correlation_id
  from payment_deadlines d
  join events e on e.position = d.placed_position
 where d.due_at <= clock_timestamp()
 order by d.due_at limit %s
   for update of d skip locked
"""

CORRELATION = "select correlation_id from events where position = %s"

# Until an operator has done something: those that are due after it do not wait for that.
POSTPONE = """
update payment_deadlines set due_at = clock_timestamp() + interval '30 s' where order_id = %s
"""
DROP = "delete from payment_deadlines where order_id = %s"


def keep_deadlines(
    connection: Connection[TupleRow], payment_window: timedelta, cancel_unpaid: CancelUnpaid
) -> int:
    """Note the deadlines of new orders, then cancel what is overdue; return how many orders."""
    behind, failed = checkpoints.news(connection, NAME)
    while behind:
        behind = note_deadlines(connection, payment_window)
    done = 0
    while swept := sweep(connection, cancel_unpaid):
        done += swept
    if failed and retry(connection, again(cancel_unpaid)):
        done += 1
    return done


def note_deadlines(connection: Connection[TupleRow], payment_window: timedelta) -> bool:
    """Go through the next stretch of the log; False if its end is reached or another does it."""
    with connection.transaction():
        after = checkpoints.take(connection, NAME)
        if after is None:
            return False
        end = reading.head(connection)
        upto = min(end, after + STRETCH)
        connection.execute(BEGIN, [payment_window, after, upto, BEGINNINGS])
        connection.execute(END, [after, upto, ENDS])
        checkpoints.move(connection, NAME, upto)
        return upto < end


def sweep(connection: Connection[TupleRow], cancel_unpaid: CancelUnpaid) -> int:
    """Cancel some overdue orders; return how many are out of the way, 0: none, or none can be now.

    What dies between a cancellation and the commit leaves a deadline of a cancelled order, which
    is dropped the next time.
    """
    with connection.transaction():
        rows = connection.execute(DUE, [AT_ONCE], prepare=True).fetchall()
        orders = [Overdue(*row) for row in rows]
        outcomes = cancel_unpaid(orders) if orders else []
        settled = 0
        for order, outcome in zip(orders, outcomes, strict=True):
            if isinstance(outcome, SOON):
                continue
            settled += 1
            if isinstance(outcome, WAITS_FOR_AN_OPERATOR):
                log.warning("deadline_waits", order_id=str(order.order_id), error=str(outcome))
                connection.execute(POSTPONE, [order.order_id])
                continue
            if outcome is not None:
                failures.note(connection, NAME, order.placed_position, refused(outcome))
            connection.execute(DROP, [order.order_id])
        return settled


def again(cancel_unpaid: CancelUnpaid) -> Reaction:
    """Return the reaction that tries once more to cancel an order for which that failed."""

    def cancel(connection: Connection[TupleRow], event: Recorded) -> None:
        row = connection.execute(CORRELATION, [event.position]).fetchone()
        assert row is not None  # noqa: S101 - it is the event that is given
        [outcome] = cancel_unpaid([Overdue(event.stream_id, event.position, row[0])])
        if isinstance(outcome, LATER):
            raise Outage(str(outcome))
        if outcome is not None:
            raise refused(outcome)

    return Reaction(NAME, (OrderPlaced,), cancel)


def refused(error: BaseException) -> Refused:
    """Return the failure of one order's cancellation."""
    return Refused(described(error))
