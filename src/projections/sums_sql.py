"""The statement that adds stretches of the log to a table of sums, made of what `Sums` says.

It is as strict as it has to be: an event of a version that it does not know, or without a value
that it needs, makes a null, which no column of such a table takes. Then it has done nothing, and
the events are folded one by one.
"""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from functools import cache
from typing import NamedTuple
from uuid import UUID

from psycopg import Connection
from psycopg.rows import TupleRow

from event_store.event_types import EVENT_TYPES, Event
from projections.projection import PARTITIONS, Projection
from projections.rows import key_columns
from projections.sides import SCHEMAS, Side
from projections.sums import Fact, LineFact, Sums

CASTS = {
    UUID: "({})::uuid",
    str: "{}",
    int: "({})::bigint",
    Decimal: "({})::numeric",
    date: "(({})::timestamptz at time zone 'UTC')::date",
}
CRC32 = 180_000  # the release of Postgres that crc32() came with

# The rows are added in the order of their keys, so that no two builders can block each other.
STATEMENT = """
insert into {table} as t ({key}, {added})
select {key}, {added}
  from (select {values}
          from unnest(%s::bigint[], %s::bigint[]) as stretch (after, upto)
          join events e on e.position > stretch.after and e.position <= stretch.upto
         cross join lateral (select {sign} as sign, {facts} as facts offset 0) f
         {lines}
         where e.name = any(%s::text[]) {entered}
         group by {numbers}) as sums
 where ({partition} = any(%s::integer[])) is not false
 order by {key}
    on conflict ({key}) do update set {changes}
"""

LINES = """
         cross join lateral (
                select {values}
                  from jsonb_array_elements(coalesce(f.facts -> '{lines}', 'null')) as line
                {grouped}
               ) l
"""

Stretch = tuple[int, int]
"""The events after a position, up to another."""


class Addition(NamedTuple):
    """Stretches of the log to add to a view's sums, as far as those are in some partitions."""

    projection: Projection
    stretches: Sequence[Stretch]
    partitions: Sequence[int] = range(PARTITIONS)


def add_up(connection: Connection[TupleRow], added: Addition, side: Side) -> None:
    """Add the events of some stretches to the sums of a side."""
    sums = added.projection.sums
    assert sums is not None  # noqa: S101 - whoever calls this has looked
    after, upto = [one[0] for one in added.stretches], [one[1] for one in added.stretches]
    query = statement(added.projection, SCHEMAS[side], connection.info.server_version >= CRC32)
    values = [after, upto, list(sums.names), list(added.partitions)]
    connection.execute(query.encode(), values, prepare=True)


def can_add(
    connection: Connection[TupleRow], projection: Projection, partitions: Sequence[int]
) -> bool:
    """Tell whether a view has sums, and Postgres knows which of them are in some partitions."""
    if projection.sums is None:
        return False
    if len(partitions) == PARTITIONS or projection.sums.key[projection.key].kind is UUID:
        return True
    return connection.info.server_version >= CRC32


@cache
def statement(projection: Projection, schema: str, has_crc32: bool) -> str:  # noqa: FBT001 - what a Postgres has
    """Return the statement of a view, for a side's tables."""
    sums = projection.sums
    assert sums is not None  # noqa: S101 - whoever calls this has looked
    key = ", ".join(key_columns(sums.table))
    values = [
        f"l.{name}" if isinstance(one, LineFact) else f"{value(one, 'f.facts')} as {name}"
        for name, one in sums.key.items()
    ]
    for name, one in sums.adds.items():
        summand = "1"
        if isinstance(one, Fact):
            summand = f"l.{name}" if isinstance(one, LineFact) else value(one, "f.facts")
        values.append(f"{strict_sum(f'f.sign * {summand}')} as {name}")
    return STATEMENT.format(
        table=f"{schema}.{sums.table.name}",
        key=key,
        added=", ".join(sums.adds),
        values=", ".join(values),
        sign=sign(sums),
        facts=facts(sums),
        lines=lines(sums),
        entered="".join(
            f" and (e.name = '{name_of(kind)}' and e.data -> '{entry.field}' = 'null') is not true"
            for kind, entry in sums.entries.items()
            if entry.optional
        ),
        numbers=", ".join(map(str, range(1, len(sums.key) + 1))),
        partition=partition(projection, has_crc32),
        changes=", ".join(f"{name} = t.{name} + excluded.{name}" for name in sums.adds),
    )


def lines(sums: Sums) -> str:
    """Return what adds up the lines of one event, by the keys that it has."""
    keys = [(name, one) for name, one in sums.key.items() if isinstance(one, LineFact)]
    added = [(name, one) for name, one in sums.adds.items() if isinstance(one, LineFact)]
    if not keys and not added:
        return ""
    values = [f"{value(one, 'line')} as {name}" for name, one in keys]
    values += [f"{strict_sum(value(one, 'line'))} as {name}" for name, one in added]
    grouped = f"group by {', '.join(name for name, _ in keys)}" if keys else ""
    return LINES.format(values=", ".join(values), lines=sums.lines, grouped=grouped)


def sign(sums: Sums) -> str:
    """Return how often an event is added; null if it is of a version that is to be upcast."""
    cases = [
        f"when e.name = '{name}' and e.schema_version in ({', '.join(map(str, versions))})"
        f" then {entry.sign}"
        for kind, entry in sums.entries.items()
        for name, versions in [EVENT_TYPES.read_alike(kind)]
    ]
    return f"case {' '.join(cases)} end"


def facts(sums: Sums) -> str:
    """Return where in an event its facts stand."""
    cases = [
        f"when '{name_of(kind)}' then e.data -> '{entry.field}'"
        for kind, entry in sums.entries.items()
        if entry.field
    ]
    return f"case e.name {' '.join(cases)} else e.data end" if cases else "e.data"


def name_of(kind: type[Event]) -> str:
    """Return the stored name of an event."""
    return EVENT_TYPES.read_alike(kind)[0]


def value(fact: Fact, root: str) -> str:
    """Return a value as its column has it."""
    *steps, last = [f"'{step}'" for step in fact.path.split(".")]
    return CASTS[fact.kind].format(" -> ".join([root, *steps]) + f" ->> {last}")


def strict_sum(summand: str) -> str:
    """Return a sum that is null if any of its summands is, and 0 if there are none."""
    return f"case when count({summand}) = count(*) then coalesce(sum({summand}), 0) end"


def partition(projection: Projection, has_crc32: bool) -> str:  # noqa: FBT001 - what a Postgres has
    """Return the partition of a row, as `partition_of` does."""
    assert projection.sums is not None  # noqa: S101 - whoever calls this has looked
    if projection.sums.key[projection.key].kind is UUID:
        return f"get_byte(uuid_send({projection.key}), 15) %% {PARTITIONS}"
    if has_crc32:
        return f"(crc32(convert_to({projection.key}::text, 'UTF8')) %% {PARTITIONS})::integer"
    return "null::integer"
