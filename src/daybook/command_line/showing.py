"""Tables of projections, operations and failures for people, and the same as JSON for programs."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import msgspec
from rich.box import SIMPLE_HEAD
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from api.read.camel import camelled
from api.read.operation_views import operation_view
from daybook.command_line.asked import Row, asked_table
from daybook.command_line.operating import Ended, asked_for, detail, outcome
from daybook.printing import number
from projections.oversight.operations import Operation
from projections.oversight.standing import Standing
from projections.posting.failures import Failure, FailureDetail
from projections.projection import Projection
from projections.rebuilds.rebuild import Rebuild

MOST_DIFFERENCES = 10


def as_object(struct: msgspec.Struct) -> Any:
    """Return a struct as the API shows it."""
    return msgspec.to_builtins(camelled(struct))


def list_table(found: Iterable[Projection]) -> Table:
    """Lay out what projections there are."""
    table = Table("Projection", number("Version"), "Tables", number("Kinds of events"))
    for one in found:
        names = ", ".join(table.name for table in one.tables)
        table.add_row(one.name, str(one.version), names, str(len(one.event_names)))
    return table


def status_tables(found: Sequence[Standing]) -> list[Table]:
    """Lay out how projections stand, and who posts which partition."""
    standing = Table(box=SIMPLE_HEAD, pad_edge=False)
    for name in ("Projection", "State"):
        standing.add_column(name, no_wrap=name == "Projection")
    for name in ("Position", "Behind", "Events/s", "ETA", "Parked"):
        standing.add_column(name, no_wrap=name == "Behind", justify="right")
    posting = Table(box=SIMPLE_HEAD, pad_edge=False)
    for name in ("Projection", "Last moved", "Posted by"):
        posting.add_column(name, no_wrap=name == "Projection")
    for one in found:
        standing.add_row(
            f"{one.name} v{one.version}",
            state(one),
            f"{one.position:,}",
            f"{one.lag_events:,}, {one.lag_seconds:.1f} s",
            "" if one.events_per_second is None else f"{one.events_per_second:,.0f}",
            "" if one.eta_seconds is None else f"{one.eta_seconds:,.0f} s",
            f"{one.failures:,}" if one.failures else "",
        )
        moved_at = f"{one.moved_at:%Y-%m-%d %H:%M:%S}Z"
        posting.add_row(f"{one.name} v{one.version}", moved_at, holders(one))
    return [standing, posting]


Show = Callable[[Sequence[Standing], Sequence[str]], None]
"""Shows how projections stand, and what is wrong with them in sentences."""


@contextmanager
def showing(console: Console, *, again: bool) -> Iterator[Show]:
    """Give what shows; `again`: each time in the place of the last, where there is a screen."""

    def below(found: Sequence[Standing], troubles: Sequence[str]) -> None:
        console.print(*status_tables(found), sep="\n")
        for sentence in troubles:
            console.print(sentence, markup=False, highlight=False, soft_wrap=True)

    def in_place(found: Sequence[Standing], troubles: Sequence[str]) -> None:
        live.update(Group(*status_tables(found), *map(Text, troubles)), refresh=True)

    if not (again and console.is_terminal):
        yield below
        return
    with Live(console=console, auto_refresh=False, vertical_overflow="visible") as live:
        yield in_place


def state(one: Standing) -> str:
    """Return a projection's state, with how far a rebuild is."""
    if one.rebuild is None:
        return one.state
    job = one.rebuild
    share = f" {100 * job.position // job.target} %" if job.target else ""
    return f"{one.state}: {job.state.replace('_', ' ')}{share}"


def holders(one: Standing) -> str:
    """Return who posts the partitions: a worker and its partitions, one a line."""
    by: dict[str, list[str]] = {}
    for part in one.partitions:
        by.setdefault(part.holder or "nobody", []).append(str(part.partition))
    return "\n".join(f"{', '.join(parts)}: {holder}" for holder, parts in by.items())


def ends_tables(ends: Sequence[Ended]) -> list[Table]:
    """Lay out what came of requests, and what rebuilds made."""
    table = Table("Projection", "Action", "Outcome", number("Seconds"), "Detail")
    for end in ends:
        request = end.operation
        row = (request.request.projection, asked_for(request), outcome(end))
        table.add_row(*row, f"{end.seconds:.1f}", detail(end))
    jobs = [end.rebuild for end in ends if end.rebuild and end.rebuild.rows]
    failing = [failed_table(job) for job in jobs if job.failures]
    return [
        table,
        *([rows_table(jobs)] if jobs else []),
        *failing,
        *map(differences_table, different(jobs)),
    ]


def rows_table(jobs: Sequence[Rebuild]) -> Table:
    """Lay out how many rows the live tables had, and the new ones have."""
    counts = (number("Live rows"), number("New rows"))
    table = Table("Projection", number("Position"), "Table", *counts, "Compared")
    for job in jobs:
        compared = {one.table: one for one in job.comparison.tables} if job.comparison else {}
        for name, (live, new) in (job.rows or {}).items():
            found = compared.get(name)
            equal = "" if found is None else "different" if found.differences else "equal"
            table.add_row(job.name, f"{job.position:,}", name, f"{live:,}", f"{new:,}", equal)
    return table


def failed_table(job: Rebuild) -> Table:
    """Lay out the first events that a rebuild could not apply."""
    title = f"First of {job.failures:,} failures of {job.name}"
    table = Table(number("Position"), "Key", "Error", title=title)
    for one in job.first_failures:
        table.add_row(str(one.position), one.key, one.error)
    return table


def different(jobs: Sequence[Rebuild]) -> list[Rebuild]:
    """Return the rebuilds that made something else than there was."""
    return [job for job in jobs if job.comparison and not job.comparison.equal]


def differences_table(job: Rebuild) -> Table:
    """Lay out the first rows that are different."""
    table = Table("Table", "Key", "Live", "New", title=f"First differences of {job.name}")
    for one in job.comparison.tables if job.comparison else ():
        for row in one.differences[:MOST_DIFFERENCES]:
            table.add_row(one.table, str(row.key), str(row.live), str(row.new))
    return table


def operation_as_object(one: Operation) -> Any:
    """Return what was asked of a projection as the API shows it, with the projection."""
    shown: dict[str, object] = msgspec.to_builtins(operation_view(one))
    return {"projection": one.request.projection, **shown}


def operations_table(found: Iterable[Operation]) -> Table:
    """Lay out what was asked of projections, and what came of it."""
    return asked_table(
        Row(
            one.asked_at,
            one.actor_id,
            f"{asked_for(one)} {one.request.projection}",
            one.request.reason,
            one.outcome,
            one.detail,
        )
        for one in found
    )


def failures_table(found: Iterable[Failure]) -> Table:
    """Lay out events that could not be applied."""
    counts = map(number, ("Position", "Waiting", "Attempts"))
    table = Table("Projection", *counts, "Since", "Key", "Error")
    for one in found:
        since = f"{one.first_at:%Y-%m-%d %H:%M:%S}Z"
        counted = (f"{one.position}", f"{one.waiting:,}", f"{one.attempts:,}")
        table.add_row(one.name, *counted, since, one.key, one.error)
    return table


def failure_text(found: FailureDetail) -> str:
    """Write down all that is known of one failure."""
    one, event = found.failure, found.event
    lines = {
        "projection": f"{one.name} v{one.version}",
        "key": one.key,
        "event": f"{event.name} v{event.schema_version} at {event.position}",
        "stream": f"{event.stream_id} version {event.version}",
        "occurred": f"{event.occurred_at:%Y-%m-%d %H:%M:%S}Z",
        "waiting": f"{one.waiting:,}",
        "attempts": f"{one.attempts:,}",
        "data": event.data,
    }
    told = [f"{name:<11} {value}" for name, value in lines.items()]
    return "\n".join([*told, "", found.traceback.rstrip()])
