"""The register of views as they were: which states are kept in which places, made and asked for.

A past is a view as a rebuild that stops at a position would make it; or of those events alone that
had happened by a moment. It is made by a worker when somebody asks for it, and is kept for an hour
after it was last used. There are twelve places, so what all of it takes is bounded.
"""

from datetime import datetime
from typing import Literal, NamedTuple

from psycopg import Connection, sql
from psycopg.rows import TupleRow, class_row

from projections.sides import PASTS, Past

KEPT = "1 hour"
# So long nobody takes the place of a past away from whoever turns its pages.
SAFE = "15 seconds"
# A moment's events may still be imported: after so long they are looked for again.
FRESH = "10 minutes"

State = Literal["waiting", "folding", "indexing", "ready", "failed"]

COLUMNS = "id, slot, name, version, upto, happened, state, position, began_at"

UNFINISHED = f"""
select {COLUMNS} from pasts where state in ('waiting', 'folding', 'indexing') order by id
"""  # noqa: S608 - our own names
# The lock is the session's: it ends with the process that makes the past.
LOCK = int.from_bytes(b"past")
TAKE = f"select pg_try_advisory_lock({LOCK}, %s)"
GIVE_BACK = f"select pg_advisory_unlock({LOCK}, %s)"
BEGIN = """
update pasts set state = 'folding', position = 0, began_at = clock_timestamp()
 where id = %s and state in ('waiting', 'folding', 'indexing')
"""
REACH = "update pasts set position = %s where id = %s"
ENTER = """
update pasts set state = %(state)s, whole = %(whole)s, used_at = clock_timestamp(),
       ready_at = case when %(state)s = 'ready' then clock_timestamp() end
 where id = %(id)s
"""
# Readers hold the row for as long as they read the tables.
UNUSED = f"""
select slot from pasts
 where state in ('ready', 'failed') and used_at < clock_timestamp() - interval '{KEPT}'
   for update skip locked
"""  # noqa: S608 - our own names
# To go on from: nothing waits in it, so its tables are all that there is to know.
EARLIER = f"""
select {COLUMNS} from pasts
 where name = %s and version = %s and upto <= %s and happened is null
   and state = 'ready' and whole
 order by upto desc limit 1
   for share
"""  # noqa: S608 - our own names
REMOVE = "delete from pasts where slot = %s"
TABLES = "select tablename from pg_tables where schemaname = %s"


class Kept(NamedTuple):
    """A past as the register has it."""

    id: int
    slot: int
    name: str
    version: int
    upto: int
    happened: datetime | None
    state: State
    position: int
    began_at: datetime | None

    @property
    def place(self) -> Past:
        """Where its tables are."""
        return PASTS[self.slot]


def unfinished(connection: Connection[TupleRow]) -> list[Kept]:
    """Return the pasts that are to be made, in the order in which they were asked for."""
    with connection.cursor(row_factory=class_row(Kept)) as cursor:
        return cursor.execute(UNFINISHED.encode()).fetchall()


def take(connection: Connection[TupleRow], past: Kept) -> bool:
    """Begin to make a past, from its first event on, unless another session is at it."""
    row = connection.execute(TAKE.encode(), [past.slot]).fetchone()
    if not (row and row[0]):
        return False
    if connection.execute(BEGIN, [past.id]).rowcount:
        return True
    give_back(connection, past)  # another has just finished it
    return False


def give_back(connection: Connection[TupleRow], past: Kept) -> None:
    """Let others have a place that was taken."""
    connection.execute(GIVE_BACK.encode(), [past.slot])


def reach(connection: Connection[TupleRow], past: Kept, position: int) -> None:
    """Note how far a past has come."""
    connection.execute(REACH, [position, past.id])


def enter(
    connection: Connection[TupleRow], past: Kept, state: State, *, whole: bool = True
) -> None:
    """Note how a past stands; `whole`: every event could be applied."""
    connection.execute(ENTER, {"state": state, "whole": whole, "id": past.id})


def earlier(connection: Connection[TupleRow], past: Kept) -> Kept | None:
    """Return the last past of the same view before this one, held until the transaction ends."""
    if past.happened is not None:
        return None
    with connection.cursor(row_factory=class_row(Kept)) as cursor:
        values = [past.name, past.version, past.upto]
        return cursor.execute(EARLIER.encode(), values).fetchone()


def drop_unused(connection: Connection[TupleRow]) -> int:
    """Drop what nobody has looked at for an hour; return how many pasts that was."""
    with connection.transaction():
        slots = [slot for (slot,) in connection.execute(UNUSED.encode()).fetchall()]
        for slot in slots:
            clear(connection, PASTS[slot])
            connection.execute(REMOVE, [slot])
    return len(slots)


def clear(connection: Connection[TupleRow], place: Past) -> None:
    """Drop whatever tables are in a place."""
    for (name,) in connection.execute(TABLES, [place]).fetchall():
        connection.execute(sql.SQL("drop table {}").format(sql.Identifier(place, name)))
