"""Asking of projections on the command line: in the log, as anybody, and waiting for the end.

Where no worker lives, this process carries out by itself what it has asked for.
"""

import asyncio
import os
import socket
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
from psycopg import Connection
from psycopg.rows import TupleRow
from rich.console import Console
from rich.progress import Progress, TaskID

from commands.execution import Handler, execute
from commands.projections import by_word, verbs
from commands.projections.asking import Operation as Asked
from commands.projections.verbs import Verb
from commands.work import Tools
from daybook.command_line.operator_commands import operator, operator_tools
from daybook.command_line.views import connected
from daybook.migrate import migrate
from daybook.operators.conductor import Conductor
from daybook.services import ServiceError, Services, services
from daybook.settings import Settings
from domain.projection_control import ProjectionRebuildRequested
from projections.oversight import operations
from projections.oversight.operations import Operation
from projections.posting.engine import catch_up
from projections.posting.pages import Pages
from projections.posting.post_page import ProjectionFailed
from projections.posting.status import workers
from projections.rebuilds.rebuild import Rebuild, find, labour, rebuilds
from projections.switched_on import PROJECTIONS

LOOK_SECONDS = 0.2
TURN_SECONDS = 2.0


class Wish(NamedTuple):
    """Something to ask of a projection."""

    projection: str
    handler: Handler[Any, Asked]
    command: msgspec.Struct


class Ended(msgspec.Struct, frozen=True):
    """What came of a wish: the request and its end, the rebuild if it was one, how long it took."""

    operation: Operation
    rebuild: Rebuild | None
    seconds: float


def named(name: str) -> list[str]:
    """Return the projections that a name stands for; `all` is every one."""
    if name != "all" and name not in PROJECTIONS:
        known = ", ".join(PROJECTIONS)
        raise ServiceError(f"There is no projection {name}: choose all or one of {known}.")
    return list(PROJECTIONS) if name == "all" else [name]


def each(name: str, verb: Verb, **given: object) -> list[Wish]:
    """Return the wish for each projection that a name stands for."""
    return [Wish(one, *by_word.asked(verb, projection=one, **given)) for one in named(name)]


def is_equal(end: Ended) -> bool:
    """Tell whether a comparison found the view to be what the log says."""
    return (
        end.rebuild is not None
        and end.rebuild.comparison is not None
        and end.rebuild.comparison.equal
    )


def carried_out(settings: Settings, wishes: Sequence[Wish], console: Console) -> list[Ended]:
    """Ask, and return what came of it once all of it has ended; a progress bar shows how far it is.

    Raises the `Refusal` of the first that is refused at once. Interrupted, the rest goes on.
    """
    with services(settings) as found:
        migrate(found.database_url)
        return asyncio.run(ask_and_wait(found, wishes, console))


async def ask_and_wait(found: Services, wishes: Sequence[Wish], console: Console) -> list[Ended]:
    """Ask for everything, then wait for the ends in the order of the wishes."""
    async with operator_tools(found) as tools:
        ids = [await ask(tools, wish) for wish in wishes]
        stop = Stop()
        helping = [
            asyncio.create_task(asyncio.to_thread(help_out, found, stop))
            for help_out in (build_if_alone, post_if_alone)
        ]
        conducting = asyncio.create_task(Conductor(tools, found.database_url, found.keys).run())
        try:
            with Progress(console=console) as progress:
                waits = (
                    ended(found, wish.projection, one, progress)
                    for wish, one in zip(wishes, ids, strict=True)
                )
                return [await wait for wait in waits]
        finally:
            stop.now = True
            conducting.cancel()
            await asyncio.gather(*helping, conducting, return_exceptions=True)


class Stop:
    """Says when help is no longer needed."""

    now = False


async def ask(tools: Tools, wish: Wish) -> UUID:
    """Append a request and return the id under which it can be followed."""
    receipt = await execute(tools, operator(), wish.handler, wish.command)
    return receipt.answer.operation_id


async def ended(found: Services, projection: str, one: UUID, progress: Progress) -> Ended:
    """Wait for the end of a request and show how far it is."""
    task = progress.add_task(f"asking {projection}", total=None)
    started = time.monotonic()
    with connected(found.database_url) as connection:
        while True:
            operation, job = await asyncio.to_thread(looked, connection, projection, one)
            show(progress, task, operation, job)
            if operation.outcome is None:
                over = is_held(job)
            else:
                over = await asyncio.to_thread(is_over, connection, operation)
            if over:
                progress.update(task, total=1, completed=1)
                return Ended(operation, job, round(time.monotonic() - started, 2))
            await asyncio.sleep(LOOK_SECONDS)


def looked(
    connection: Connection[TupleRow], projection: str, one: UUID
) -> tuple[Operation, Rebuild | None]:
    """Return a request as it is now, and its rebuild: the one that it began, or swaps in."""
    operation = operations.operation(connection, projection, one)
    assert operation is not None  # noqa: S101 - it was appended
    if operation.rebuild_id is not None:
        return operation, find(connection, operation.rebuild_id)
    if operation.action == "swap" and operation.outcome == "done":
        return operation, next(iter(rebuilds(connection, projection, 1)), None)
    return operation, None


def is_over(connection: Connection[TupleRow], operation: Operation) -> bool:
    """Tell whether a request that has ended is over: so must be the rebuild that it was about."""
    if operation.action not in {"swap", "cancel"} or operation.outcome != "done":
        return True
    left = operations.waiting(connection, [operation.request.projection])
    return all(one.position > operation.position for one in left)


def is_held(job: Rebuild | None) -> bool:
    """Tell whether a rebuild waits to be swapped in."""
    return job is not None and job.state == "ready"


def asked_for(operation: Operation) -> str:
    """Return the word that was typed: a rebuild that is only dropped at its end is a comparison."""
    request = operation.request
    is_dry = isinstance(request, ProjectionRebuildRequested) and request.how.dry_run
    return verbs.COMPARE.word if is_dry else operation.action


def outcome(end: Ended) -> str:
    """Return the word for what came of a request, also of one that has not ended."""
    return end.operation.outcome or "held"


def detail(end: Ended) -> str:
    """Return what came of a request, or what is to be done about it."""
    name = end.operation.request.projection
    held = f"Next: `daybook projections swap {name}`, or `cancel {name}`."
    return held if end.operation.outcome is None else end.operation.detail or ""


def show(progress: Progress, task: TaskID, operation: Operation, job: Rebuild | None) -> None:
    """Move a progress bar to where a request is."""
    name = f"{asked_for(operation)} {operation.request.projection}"
    if job is None:
        progress.update(task, description=name)
    else:
        doing = f"{name}: {job.state.replace('_', ' ')}"
        progress.update(task, description=doing, completed=job.position, total=job.target or None)


def build_if_alone(found: Services, stop: Stop) -> None:
    """Do the steps of rebuilds here while no worker lives who does them."""
    with connected(found.database_url) as connection:
        while not stop.now:
            if not is_alone(connection):
                time.sleep(LOOK_SECONDS)
                continue
            with labour(connection, PROJECTIONS, found.keys) as at_work:
                ends = time.monotonic() + TURN_SECONDS
                while time.monotonic() < ends and not stop.now:
                    if not at_work.step(connection):
                        time.sleep(LOOK_SECONDS)


def post_if_alone(found: Services, stop: Stop) -> None:
    """Let the views follow the log here while no worker lives who does it."""
    pages = Pages(PROJECTIONS.values(), found.keys)
    with connected(found.database_url) as connection:
        while not stop.now:
            for projection in PROJECTIONS.values() if is_alone(connection) else ():
                with suppress(ProjectionFailed):  # its status says so
                    catch_up(connection, projection, pages)
            time.sleep(LOOK_SECONDS)


def is_alone(connection: Connection[TupleRow]) -> bool:
    """Tell whether no other process on any host works on views."""
    here = (socket.gethostname(), os.getpid())
    return all((one.host, one.process) == here for one in workers(connection))


def told(ends: Iterable[Ended]) -> list[dict[str, object]]:
    """Return what came of wishes, for programs."""
    return [
        {
            "name": end.operation.request.projection,
            "action": end.operation.action,
            "operationId": str(end.operation.request.operation_id),
            "outcome": outcome(end),
            "detail": detail(end),
            "seconds": end.seconds,
            **rebuilt(end.rebuild),
        }
        for end in ends
    ]


def rebuilt(job: Rebuild | None) -> dict[str, object]:
    """Return what a rebuild made, for programs."""
    if job is None:
        return {}
    rows = (job.rows or {}).items()
    return {
        "position": job.position,
        "rows": {table: {"before": live, "now": new} for table, (live, new) in rows},
        "comparison": msgspec.to_builtins(job.comparison),
        "failures": job.failures,
        "firstFailures": msgspec.to_builtins(job.first_failures),
    }
