"""The statement that adds stretches of the log to a table of sums, made of what `Sums` says.

It is as strict as it has to be: an event of a version that it does not know, or without a value
that it needs, makes a null, which no column of such a table takes. Then it has done nothing, and
the events are folded one by one.
"""

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from typing import NamedTuple
from uuid import UUID

from psycopg import Connection
from psycopg.rows import TupleRow

from event_store.event_types import EVENT_TYPES, Event
from projections.projection import PARTITIONS, Projection
from projections.rows import key_columns
from projections.sides import SCHEMAS, Past, Side
from projections.sums import Fact, LineFact, Sums

CASTS = {
    UUID: "({})::uuid",
    str: "{}",
    int: "({})::bigint",
    Decimal: "({})::numeric",
    datetime: "({})::timestamptz",
    date: "(({})::timestamptz at time zone 'UTC')::date",
}
CRC32 = 180_000  # the release of Postgres that crc32() came with

# The rows are added in the order of their keys, so that no two builders can block each other.
# `offset 0` lets Postgres find each value once and not wherever it is used.
STATEMENT = """
insert into {table} as t ({key}, {added})
select {key}, {sums}
  from (select {values}
          from (select {sign} as sign, {facts} as facts, ({facts}) -> '{field}' as lines
                  from unnest(%s::bigint[], %s::bigint[]) as stretch (after, upto)
                  join events e on e.position > stretch.after and e.position <= stretch.upto
                 where e.name = any(%s::text[]) {by_then} {entered}
                offset 0) e
         {lines}
        offset 0) entered
 where {mine}
 group by {key}
 order by {key}
    on conflict ({key}) do update set {changes}
"""

# Under which keys an event is entered, if those are in its lines.
BY_LINE = """
         cross join lateral (
                select {values}
                  from jsonb_array_elements({every}) as line
                 group by {key}
               ) l
"""
# A sum over all the lines of an event. Most orders have one: it is looked up and not added up.
OF_LINES = """
case jsonb_array_length(e.lines) when 1 then {only}
     else (select {all} from jsonb_array_elements({every}) as line) end
"""
EVERY_LINE = "coalesce(e.lines, 'null')"  # of a null it would have none; so it is an error

Stretch = tuple[int, int]
"""The events after a position, up to another."""


class Addition(NamedTuple):
    """Stretches of the log to add to a view's sums, as far as those are in some partitions."""

    projection: Projection
    stretches: Sequence[Stretch]
    partitions: Sequence[int] = range(PARTITIONS)


def add_up(
    connection: Connection[TupleRow],
    added: Addition,
    side: Side | Past,
    happened: datetime | None = None,
) -> None:
    """Add the events of some stretches to the sums of a side; `happened`: by then."""
    sums = added.projection.sums
    assert sums is not None  # noqa: S101 - whoever calls this has looked
    after, upto = [one[0] for one in added.stretches], [one[1] for one in added.stretches]
    mine = "true"
    held = []
    if len(added.partitions) < PARTITIONS:
        held = [list(added.partitions)]
        mine = in_partitions(added.projection, connection.info.server_version)
    query = statement(added.projection, SCHEMAS[side], mine, by_then=happened is not None)
    values = [after, upto, list(sums.names), *([happened] if happened else []), *held]
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
def statement(projection: Projection, schema: str, mine: str, *, by_then: bool) -> str:
    """Return the statement of a view, for the tables of a side and the rows that are `mine`.

    `by_then`: of the events those alone that had happened by a moment.
    """
    sums = projection.sums
    assert sums is not None  # noqa: S101 - whoever calls this has looked
    key = ", ".join(key_columns(sums.table))
    values = [f"{found(sums, name, one)} as {name}" for name, one in sums.key.items()]
    for name, one in sums.adds.items():
        summand = found(sums, name, one) if isinstance(one, Fact) else "1"
        values.append(f"e.sign * {summand} as {name}")
    return STATEMENT.format(
        table=f"{schema}.{sums.table.name}",
        key=key,
        added=", ".join(sums.adds),
        sums=", ".join(map(strict_sum, sums.adds)),
        values=", ".join(values),
        sign=sign(sums),
        facts=facts(sums),
        field=sums.lines,
        lines=lines_by_key(sums) if sums.by_line else "",
        by_then="and e.occurred_at <= %s" if by_then else "",
        entered="".join(
            f" and (e.name = '{name_of(kind)}' and e.data -> '{entry.field}' = 'null') is not true"
            for kind, entry in sums.entries.items()
            if entry.optional
        ),
        mine=mine,
        changes=", ".join(f"{name} = t.{name} + excluded.{name}" for name in sums.adds),
    )


def found(sums: Sums, name: str, fact: Fact) -> str:
    """Return where a value is found: in the event's facts, or in its lines, added up."""
    if not isinstance(fact, LineFact):
        return value(fact, "e.facts")
    if sums.by_line:
        return f"l.{name}"
    only = value(fact, "e.lines -> 0")
    return OF_LINES.format(only=only, all=sum_of_lines(fact), every=EVERY_LINE)


def lines_by_key(sums: Sums) -> str:
    """Return what adds up the lines of one event by the keys that it has."""
    keys = [name for name, one in sums.key.items() if isinstance(one, LineFact)]
    values = [f"{value(sums.key[name], 'line')} as {name}" for name in keys]
    values += [
        f"{sum_of_lines(one)} as {name}"
        for name, one in sums.adds.items()
        if isinstance(one, LineFact)
    ]
    return BY_LINE.format(values=", ".join(values), every=EVERY_LINE, key=", ".join(keys))


def sum_of_lines(fact: LineFact) -> str:
    """Return the sum of a value over lines."""
    return CASTS[fact.kind].format(strict_sum(value(fact, "line")))


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


def in_partitions(projection: Projection, server_version: int) -> str:
    """Return what tells whether a row is in some partitions, as `partition_of` does."""
    assert projection.sums is not None  # noqa: S101 - whoever calls this has looked
    key = projection.key
    number = f"get_byte(uuid_send({key}), 15) %% {PARTITIONS}"
    if projection.sums.key[key].kind is not UUID:
        assert server_version >= CRC32  # noqa: S101 - as above
        number = f"(crc32(convert_to({key}::text, 'UTF8')) %% {PARTITIONS})::integer"
    return f"({number} = any(%s::integer[])) is not false"
