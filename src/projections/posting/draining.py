"""Applying what waits under a key, in order, until an event fails again.

It takes the partition's checkpoint and raises its token, so that the worker that holds it begins
its page anew and knows what waits no longer.
"""

from collections.abc import Sequence

from psycopg import Connection
from psycopg.rows import TupleRow

from event_store import reading
from event_store.privacy.keyring import Keyring
from event_store.reading import Unread
from projections.posting.folding import (
    LONGEST_ERROR,
    TRANSIENT,
    Planned,
    described,
    key_in,
    rows_for,
    traced,
)
from projections.posting.pages import Item
from projections.posting.row_sql import write_rows
from projections.projection import Place, Projection, Rows, key_of, partition_of

AT_ONCE = 2_000

SLOTS = """
select partition, key, position from projection_failures
 where name = %(name)s and version = %(version)s and side = %(side)s
   and (%(key)s::text is null or key = %(key)s)
 order by position, partition
"""

# Waits for a page that is being committed; the holder's next one will be refused.
TAKE = """
update projection_checkpoints set token = token + 1
 where name = %s and version = %s and side = %s and partition = %s
returning position
"""

WAITING = """
select position from projection_parked
 where name = %s and version = %s and side = %s and partition = %s and key = %s
 order by position limit %s
"""

UNPARK = """
delete from projection_parked
 where name = %s and version = %s and side = %s and partition = %s and key = %s
   and position = any(%s)
"""

PARK = """
insert into projection_parked (name, version, side, partition, key, position)
values (%s, %s, %s, %s, %s, %s) on conflict do nothing
"""

SOLVED = """
delete from projection_failures f
 where f.name = %(name)s and f.version = %(version)s and f.side = %(side)s
   and f.partition = %(partition)s and f.key = %(key)s
   and not exists (
        select from projection_parked p
         where (p.name, p.version, p.side, p.partition, p.key)
             = (f.name, f.version, f.side, f.partition, f.key)
       )
"""

SKIPPED = """
insert into projection_skips (name, key, position) values (%s, %s, %s) on conflict do nothing
"""

AGAIN = """
update projection_failures
   set attempts = case when position = %(position)s then attempts + 1 else 1 end,
       position = %(position)s, error = %(error)s, traceback = %(traceback)s,
       last_at = clock_timestamp(), retried_at = clock_timestamp()
 where name = %(name)s and version = %(version)s and side = %(side)s
   and partition = %(partition)s and key = %(key)s
"""

EVENTS = """
select position, stream_id, version, name, schema_version, data::text, occurred_at, recorded_at
  from events where position = any(%s) order by position
"""

Slot = tuple[int, str, int]


class NotApplicable(Exception):  # noqa: N818 - reads as what was found
    """An event of a key fails again."""

    def __init__(self, position: int, cause: Exception) -> None:
        self.position, self.cause = position, cause
        super().__init__(described(cause))


def slots(connection: Connection[TupleRow], projection: Projection, key: str | None) -> list[Slot]:
    """Return the partitions, keys and positions of what cannot be applied, in order."""
    where = {"name": projection.name, "version": projection.version, "side": "live", "key": key}
    return connection.execute(SLOTS, where).fetchall()


class Drain:
    """Applies what waits under one key of one partition."""

    def __init__(  # noqa: PLR0913 - what is drained, each by its name
        self,
        connection: Connection[TupleRow],
        projection: Projection,
        partition: int,
        key: str,
        *,
        keys: Keyring,
        without: int | None = None,
    ) -> None:
        self._keys = keys
        self._connection, self._projection = connection, projection
        self._partition, self._key, self._without = partition, key, without
        self._where = [projection.name, projection.version, "live", partition]
        self._named = {
            "name": projection.name,
            "version": projection.version,
            "side": "live",
            "partition": partition,
            "key": key,
        }

    def run(self) -> set[int]:
        """Apply in stretches, each a transaction, until nothing waits or an event fails again."""
        applied: set[int] = set()
        while True:
            with self._connection.transaction():
                done, more = self._stretch()
            applied |= done
            if not more:
                return applied

    def _stretch(self) -> tuple[set[int], bool]:
        self._connection.execute(TAKE, self._where)
        waiting = [*self._where, self._key, AT_ONCE]
        positions = [row[0] for row in self._connection.execute(WAITING, waiting).fetchall()]
        done = [position for position in positions if position == self._without]
        rest = [position for position in positions if position != self._without]
        applied, trouble = self._apply(rest)
        if done:
            self._connection.execute(SKIPPED, [self._projection.name, self._key, self._without])
        self._connection.execute(UNPARK, [*self._where, self._key, [*done, *applied]])
        if trouble is not None:
            self._note(trouble)
            return set(applied), False
        self._connection.execute(SOLVED, self._named)
        return set(applied), len(positions) == AT_ONCE

    def _apply(self, positions: Sequence[int]) -> tuple[list[int], NotApplicable | None]:
        """Apply events as far as they can be; return which, and what stopped it."""
        if not positions:
            return [], None
        rows = self._connection.execute(EVENTS, [list(positions)]).fetchall()
        items = reading.all_or_unread(self._connection, rows, self._keys)
        while items:
            trouble = None
            try:
                with self._connection.transaction():
                    trouble = self._write(items)
            except TRANSIENT:
                raise
            except Exception as error:  # noqa: BLE001 - whatever Postgres refuses, the key waits
                if len(items) == 1:
                    return [], NotApplicable(items[0].position, error)
                items = items[: len(items) // 2]
                continue
            before = [one.position for one in items]
            if trouble is not None:
                before = [position for position in before if position < trouble.position]
            return before, trouble
        return [], None

    def _write(self, items: Sequence[Item]) -> NotApplicable | None:
        """Fold and write events up to the first that fails; return why it does."""
        planned, trouble = self._planned(items)
        others = self._other_keys()
        rows = rows_for(self._connection, self._projection, planned, "live")
        wanted: set[Place] = set()
        for item, places in planned:
            if not places:  # nothing of it is in this partition
                continue
            waiting = [one for one in places if str(key_in(self._projection, one)) in others]
            try:
                self._fold(rows, item, places, waiting)
            except NotApplicable as again:
                trouble = again
                break
            wanted |= set(places) - set(waiting)
            for one in waiting:
                key = str(key_in(self._projection, one))
                self._connection.execute(PARK, [*self._where, key, item.position])
        for table, changed in rows.written():
            mine = [row for row in changed if (table, key_of(table, row)) in wanted]
            write_rows(self._connection, table, mine)
        return trouble

    def _fold(
        self, rows: Rows, item: Item, places: Sequence[Place], waiting: Sequence[Place]
    ) -> None:
        """Apply an event to its rows, but not to those that wait for another key."""
        copies = rows.copies(places)
        try:
            self._projection.fold(rows, item)  # type: ignore[arg-type]  # it was read
        except TRANSIENT:
            raise
        except Exception as error:
            rows.restore(copies)
            raise NotApplicable(item.position, error) from error
        rows.restore(one for one in copies if one[0] in waiting)

    def _planned(self, items: Sequence[Item]) -> tuple[list[Planned], NotApplicable | None]:
        planned: list[Planned] = []
        for item in items:
            try:
                planned.append((item, self._places(item)))
            except TRANSIENT:
                raise
            except Exception as error:  # noqa: BLE001 - what cannot be read waits on
                return planned, NotApplicable(item.position, error)
        return planned, None

    def _places(self, item: Item) -> list[Place]:
        """Return the rows that an event is kept back from: those of the key, or of its stream."""
        if isinstance(item, Unread):
            raise item.error
        by_key = [(one, key_in(self._projection, one)) for one in self._projection.needs(item)]
        mine = [(one, key) for one, key in by_key if partition_of(key) == self._partition]
        if str(item.stream_id) == self._key:
            return [one for one, _ in mine]
        return [one for one, key in mine if str(key) == self._key]

    def _other_keys(self) -> set[str]:
        """Return the other keys of the partition that wait for themselves."""
        found = slots(self._connection, self._projection, None)
        return {key for partition, key, _ in found if partition == self._partition} - {self._key}

    def _note(self, trouble: NotApplicable) -> None:
        cause = trouble.cause
        values = {
            "position": trouble.position,
            "error": str(trouble)[:LONGEST_ERROR],
            "traceback": traced(cause),
        }
        self._connection.execute(AGAIN, self._named | values)
