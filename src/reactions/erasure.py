"""Erasure: what is left to do once somebody is forgotten, wherever something was kept of them.

The key is destroyed with the event itself; here their orders are told, so that every view shows it,
and records and mails go. Each step may be done again: what dies in between is done once more.
"""

from collections.abc import Callable, Sequence
from uuid import UUID

import structlog
from psycopg import Connection
from psycopg.rows import TupleRow

from commands.execution import TooMuchContention
from domain.user import UserForgotten
from event_store.event_types import names_of
from event_store.privacy.keyring import Keyring
from event_store.records import Recorded, StoreUnavailable
from projections.rebuilds.rebuild import prune
from projections.switched_on import PROJECTIONS
from reactions.mail_folder import MailFolder
from reactions.reaction import Outage, Reaction, Refused

NAME = "erasure"
EVENTS = (UserForgotten,)
EVENT_NAMES = names_of(EVENTS)
AT_ONCE = 8
LATER = (StoreUnavailable, TooMuchContention)

ForgetOrders = Callable[[Sequence[UUID], Recorded], list[BaseException | None]]

log = structlog.get_logger(__name__)

# As in the index events_about_buyers: written out, or it would not serve the query.
ABOUT = """
    substr(coalesce(data ->> 'text', data ->> 'reason', data ->> 'tracking_number'), 10, 32)
"""
TEXTS = """
schema_version > 1
 and name in ('order.shipped', 'order.cancelled', 'order.refunded', 'order.note_added')
"""

ORDERS = f"select distinct stream_id from events where {ABOUT} = %s and {TEXTS}"  # noqa: S608 - our own names

# Failed sign-ins are known by a keyed hash of the address that was tried.
SIGN_INS = """
delete from sign_ins
 where user_id = %(user)s
    or account in (select account from sign_ins where user_id = %(user)s and account is not null)
"""

# Of events, the person's own and those of their orders; an order's first event names its buyer.
IS_THEIRS = """
(e.stream_id = %(user)s or exists (
    select from events first
     where first.stream_id = e.stream_id and first.version = 1
       and first.data ->> 'user_id' = %(user)s::text
))
"""
THEIRS = f"""
select e.position from events e where e.position = any(%(positions)s::bigint[]) and {IS_THEIRS}
"""  # noqa: S608 - our own names

# What went wrong with the person's events may quote them.
FAILURES = f"""
with failed as (
    select position from reaction_failures union select position from projection_failures
), theirs as (
    select e.position from events e join failed using (position) where {IS_THEIRS}
), reactions as (
    update reaction_failures f set error = 'forgotten'
      from theirs where f.position = theirs.position
)
update projection_failures f set error = 'forgotten', traceback = ''
  from theirs where f.position = theirs.position
"""  # noqa: S608 - our own names

# And in what rebuilds said of them.
REPORTED = f"""
update projection_rebuilds
   set failed = (
           select jsonb_agg(
                      case when {IS_THEIRS} then one || '{{"error": "forgotten"}}' else one end
                      order by number
                  )
             from jsonb_array_elements(failed) with ordinality as listed (one, number)
             join events e on e.position = (one ->> 'position')::bigint
       )
 where failed <> '[]'
"""  # noqa: S608 - our own names

# What rebuilds found different are rows as they stand in the views. Whatever is compared at this
# moment, on an older state, is compared again: its row in projection_rebuilds has changed.
COMPARISONS = """
update projection_rebuilds
   set comparison = jsonb_set(comparison, '{tables}', (
           select jsonb_agg(jsonb_set(one, '{differences}', (
                      select coalesce(jsonb_agg(
                                 case when position(%(user)s::text in pair::text) > 0
                                      then pair || '{"live": "forgotten", "new": "forgotten"}'
                                      else pair end
                                 order by number), '[]')
                        from jsonb_array_elements(one -> 'differences')
                             with ordinality as found (pair, number)
                  )) order by place)
             from jsonb_array_elements(comparison -> 'tables')
                  with ordinality as listed (one, place)
       ))
 where finished_at is null or position(%(user)s::text in comparison::text) > 0
"""
# Whoever writes a mail holds its checkpoint; afterwards nobody writes one to somebody forgotten.
MAILS_AT_REST = """
select name from reaction_checkpoints where name = any(%s::text[]) order by name for update
"""


def erasing(
    forget_orders: ForgetOrders, keys: Keyring, folder: MailFolder | None, mails: Sequence[str]
) -> Reaction:
    """Return the reaction; `mails` are the names of the reactions that write to the folder."""

    def erase(connection: Connection[TupleRow], recorded: Recorded) -> None:
        user_id = recorded.stream_id
        keys.forget(user_id)
        orders = [row[0] for row in connection.execute(ORDERS, [user_id.hex]).fetchall()]
        for first in range(0, len(orders), AT_ONCE):
            check(forget_orders(orders[first : first + AT_ONCE], recorded))
        connection.execute(SIGN_INS, {"user": user_id})
        connection.execute(FAILURES, {"user": user_id})
        connection.execute(REPORTED, {"user": user_id})
        connection.execute(COMPARISONS, {"user": user_id})
        for projection in PROJECTIONS.values():
            prune(connection, projection)  # tables that are kept for a way back know the person
        if folder is not None:
            connection.execute(MAILS_AT_REST, [list(mails)])
            remove_mails(connection, folder, user_id)
        log.info("person_forgotten", user_id=str(user_id), orders=len(orders))

    return Reaction(NAME, EVENTS, erase)


def check(outcomes: Sequence[BaseException | None]) -> None:
    """Raise `Outage` if an order can be told later, `Refused` if something else is wrong."""
    for outcome in outcomes:
        if isinstance(outcome, LATER):
            raise Outage(str(outcome))
        if outcome is not None:
            raise Refused(f"{type(outcome).__name__}: {outcome}")


def remove_mails(connection: Connection[TupleRow], folder: MailFolder, user_id: UUID) -> None:
    """Remove the files of mails to somebody."""
    positions = folder.positions()
    values = {"positions": positions, "user": user_id}
    rows = connection.execute(THEIRS, values).fetchall() if positions else []
    folder.remove({row[0] for row in rows})
