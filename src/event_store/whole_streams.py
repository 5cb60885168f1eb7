"""Reading streams as a whole, by where in the log they begin."""

from collections.abc import Sequence

from psycopg import Connection
from psycopg.rows import TupleRow

from event_store.alone import Alone
from event_store.privacy.keyring import Keyring
from event_store.reading import Unread, all_or_unread
from event_store.records import Recorded

STREAMS_OPENED = """
select e.position, e.stream_id, e.version, e.name, e.schema_version, e.data::text, e.occurred_at,
       e.recorded_at, opened.position
  from (select position, stream_id from events
         where position > %b::bigint and position <= %b::bigint
           and version = 1 and name = any(%s::text[]) and not {}
         order by position limit %b::bigint) opened
 cross join lateral (
        select * from events
         where stream_id = opened.stream_id and position <= %b::bigint and name = any(%s::text[])
       ) e
 order by opened.position, e.version
"""

UNOPENED = """
select position from events
 where position > %b::bigint and position <= %b::bigint and name = any(%s::text[])
   and case version when 1 then name <> all(%s::text[])
       else (select true from events first
              where first.stream_id = events.stream_id and first.version = 1
                and first.name = any(%s::text[])) is null end
 limit 1
"""


def streams_opened(  # noqa: PLR0913, PLR0917 - which streams, and who may read them
    connection: Connection[TupleRow],
    after: int,
    upto: int,
    names: Sequence[str],
    most: int,
    keyring: Keyring,
    alone: Alone,
) -> tuple[int, list[Recorded | Unread]]:
    """Return the events with some names of streams that begin in (after, upto], and how far.

    They begin with one of the names of `alone`, and are not alone: of each stream there are all
    events up to `alone.upto`, in order, stream by stream; of at most so many streams.
    """
    query = STREAMS_OPENED.format(alone.condition)
    values = [after, upto, alone.names, alone.upto, most, alone.upto, list(names)]
    with connection.cursor(binary=True) as cursor:
        rows = cursor.execute(query.encode(), values, prepare=True).fetchall()
    found = all_or_unread(connection, [row[:-1] for row in rows], keyring)
    return rows[-1][-1] if len({row[-1] for row in rows}) == most else upto, found


def unopened(
    connection: Connection[TupleRow], after: int, upto: int, names: Sequence[str], first: list[str]
) -> int | None:
    """Return an event with some names in (after, upto] whose stream does not begin with `first`."""
    values = [after, upto, list(names), first, first]
    row = connection.execute(UNOPENED, values, prepare=True).fetchone()
    return None if row is None else int(row[0])
