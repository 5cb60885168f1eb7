"""The statement that makes the rows of streams with one event, made of what `Opening` says.

It is as strict as it has to be: a value that is not there makes a null, which no such column takes.
Then it has done nothing, and the events are folded one by one. What an upcaster changes it leaves
to the fold.
"""

from collections.abc import Sequence
from datetime import datetime
from functools import cache
from typing import Any

from psycopg import Connection
from psycopg.rows import TupleRow

from domain.money import MINOR_UNITS
from event_store.alone import Alone
from event_store.event_types import EVENT_TYPES
from projections.openings import LineSet, LineViews, Opening, Recording, Source
from projections.posting.sums_sql import Stretch, name_of, sum_of_lines, value
from projections.sides import SCHEMAS, Past, Side
from projections.sums import Fact, LineFact

# `offset 0` lets Postgres find each value once and not wherever it is used.
STATEMENT = """
insert into {table} ({columns})
select {values}
  from (select e.*, e.lines -> 0 as only, {units} as units
          from (select events.*, events.data -> '{lines}' as lines {currency}
                  from unnest(%s::bigint[], %s::bigint[]) as stretch (after, upto)
                  join events on events.position > stretch.after
                             and events.position <= stretch.upto
                 where {alone} {by_then}
                offset 0) e
        offset 0) e
"""

# Most orders have one line, which is looked up: a query over all of them costs as much as the rest.
OF_LINES = """
case jsonb_array_length(e.lines) when 1 then {only} else (select {all}) end
"""
EVERY_LINE = "jsonb_array_elements(coalesce(e.lines, 'null')) as line"
STRICT = "case when count({one}) = count(*) then coalesce({all}, {none}) end"
VIEWS = "(select {view} as shown from {lines} offset 0) views"

# JSON is put together as text: made of objects in objects it takes twice as long. A text to which
# null is added is null.
AMOUNT = """
case when e.units = 2 and {text} like '%%.__' then {text}
     else round(({text})::numeric, greatest(min_scale(({text})::numeric), e.units))::text end
"""
MONEY = """'{{"amount":"' || {amount} || '","currency":"' || e.currency || '"}}'"""


def alone(opening: Opening, upto: int) -> Alone:
    """Return which events make a row by themselves, as the log is up to a position."""
    return Alone([EVENT_TYPES.read_alike(kind) for kind in opening.events], upto)


def open_rows(  # noqa: PLR0913, PLR0917 - which events, and where their rows go
    connection: Connection[TupleRow],
    opening: Opening,
    stretches: Sequence[Stretch],
    upto: int,
    side: Side | Past,
    happened: datetime | None = None,
) -> None:
    """Make the rows of streams that open in some stretches and have no other event up to `upto`.

    `happened`: by then. None of the rows is there yet.
    """
    after, ends = [one[0] for one in stretches], [one[1] for one in stretches]
    query = statement(opening, SCHEMAS[side], by_then=happened is not None)
    values = [after, ends, upto, *([happened] if happened else [])]
    connection.execute(query.encode(), values, prepare=True)


@cache
def statement(opening: Opening, schema: str, *, by_then: bool) -> str:
    """Return the statement for the table of a side; `by_then`: of what had happened by a moment."""
    columns = [column.name for column in opening.table.columns]
    return STATEMENT.format(
        table=f"{schema}.{opening.table.name}",
        columns=", ".join(columns),
        values=", ".join(found(opening, name) for name in columns),
        lines=opening.lines,
        units=minor_units("e.currency"),
        currency="".join(
            f", {value(one.currency, 'events.data')} as currency"
            for one in opening.columns.values()
            if isinstance(one, LineViews)
        ),
        alone=alone(opening, 0).condition,
        by_then="and events.occurred_at <= %s" if by_then else "",
    )


def found(opening: Opening, column: str) -> str:
    """Return a column's value, by the name of the event if it differs."""
    by_name = {name_of(kind): source_sql(opening.sources(kind)[column]) for kind in opening.events}
    values = list(dict.fromkeys(by_name.values()))
    if len(values) == 1:
        return values[0]
    cases = " ".join(f"when '{name}' then {one}" for name, one in by_name.items())
    return f"case e.name {cases} end"


def source_sql(source: Source) -> str:  # noqa: PLR0911 - one for each kind
    """Return where a value is found."""
    match source:
        case Recording(name):
            return f"e.{name}"
        case LineFact():
            every = f"{sum_of_lines(source)} from {EVERY_LINE}"
            return OF_LINES.format(only=value(source, "e.only"), all=every)
        case Fact():
            return value(source, "e.data")
        case LineSet(fact):
            return line_set(fact)
        case LineViews():
            return line_views(source)
        case None:
            return "null"
        case str():
            return f"'{source}'"
        case _:
            return "'[]'"


def line_set(fact: LineFact) -> str:
    """Return the different values in lines, in order; null if one is not there."""
    one, only = value(fact, "line"), value(fact, "e.only")
    agg = f"array_agg(distinct {one} order by {one})"
    return OF_LINES.format(
        only=f"case when {only} is not null then array[{only}] end",
        all=f"{STRICT.format(one=one, all=agg, none=repr('{}'))} from {EVERY_LINE}",
    )


def line_views(source: LineViews[Any]) -> str:
    """Return lines as they are shown, in their order; null if a field is not there."""
    each = VIEWS.format(view=line_view(source, "line"), lines=EVERY_LINE)
    agg = STRICT.format(one="shown", all="string_agg(shown, ',')", none="''")
    views = OF_LINES.format(only=line_view(source, "e.only"), all=f"{agg} from {each}")
    return f"('[' || {views} || ']')::jsonb"


def line_view(source: LineViews[Any], line: str) -> str:
    """Return the JSON of a line as it is shown; null if a field is not there."""
    values = [
        (shown, money(f"{line} ->> '{name}'") if is_money else f"({line} -> '{name}')::text")
        for name, shown, is_money in source.fields
    ]
    fields = " || ',' || ".join(f"""'"{shown}":' || {one}""" for shown, one in values)
    return f"'{{' || {fields} || '}}'"


def money(text: str) -> str:
    """Return the JSON of an amount as `money_view` shows it."""
    return MONEY.format(amount=f"({AMOUNT.format(text=f'({text})')})")


def minor_units(currency: str) -> str:
    """Return the decimals of a currency's smallest coin."""
    by_units: dict[int, list[str]] = {}
    for code, units in MINOR_UNITS.items():
        by_units.setdefault(units, []).append(f"'{code}'")
    cases = " ".join(
        f"when {currency} in ({', '.join(codes)}) then {units}" for units, codes in by_units.items()
    )
    return f"case {cases} else 2 end"
