"""The command line of reactions: how they stand, and what is decided about failures."""

import os
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer
from rich.table import Table

from commands.reactions import verbs
from daybook.command_line.asked import Row, asked_table
from daybook.printing import WRONG, number, out, print_json, print_result
from daybook.settings import Settings

if TYPE_CHECKING:
    from daybook.command_line.deciding import Outcome
    from reactions.operations import Operation
    from reactions.status import Failure, Status

reactions = typer.Typer(
    help="What the system does by itself: mails, deadlines, integration events.",
    no_args_is_help=True,
)
failed = typer.Typer(help="Events whose effect failed.", no_args_is_help=True)
reactions.add_typer(failed, name="failures")

Name = Annotated[str, typer.Argument(help="A reaction's name.")]
Position = Annotated[int, typer.Argument(help="The event's position in the log.", min=1)]
Reason = Annotated[str, typer.Option(help="Why: it is kept in the log, with who decided.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")]
BY_HAND = "decided on the command line"


def settings() -> Settings:
    """Read the settings from the environment."""
    return Settings.from_environment(os.environ)


@reactions.command("status")
def status(as_json: Json = False) -> None:
    """Show how each reaction stands; exit code 1 if one waits, or has parked events."""
    from daybook.command_line.deciding import statuses_now

    found = statuses_now(settings())
    if as_json:
        told = [msgspec.to_builtins(one) | {"state": one.state} for one in found]
        print_json({"reactions": told})
    else:
        out.print(status_table(found))
        for one in found:
            if one.failure:
                typer.echo(f"{one.name} waits: {one.failure}")
    if any(one.failure or one.parked for one in found):
        raise typer.Exit(WRONG)


@reactions.command("operations")
def list_operations(
    name: Annotated[str | None, typer.Argument(help="A reaction's name; all of them else.")] = None,
    limit: Annotated[int, typer.Option(help="How many at most.", min=1, max=10_000)] = 20,
    as_json: Json = False,
) -> None:
    """List who decided what about a reaction, when and why, and what came of it; newest first."""
    from daybook.command_line.deciding import operations_now

    found = operations_now(settings(), name, limit)
    if as_json:
        print_json({"operations": [msgspec.to_builtins(one) for one in found]})
    else:
        out.print(operations_table(found) if found else "Nothing was asked for.")


@failed.command("list")
def list_failures(
    name: Annotated[str | None, typer.Argument(help="A reaction's name; all of them else.")] = None,
    limit: Annotated[int, typer.Option(help="How many at most.", min=1, max=10_000)] = 100,
    as_json: Json = False,
) -> None:
    """List the events whose effect failed; exit code 1 if there are any."""
    from daybook.command_line.deciding import failures_now

    found = failures_now(settings(), name, limit)
    if as_json:
        print_json({"failures": [msgspec.to_builtins(one) for one in found]})
    else:
        out.print(failures_table(found) if found else "Nothing has failed.")
    if found:
        raise typer.Exit(WRONG)


@failed.command("show")
def show_failure(name: Name, position: Position, as_json: Json = False) -> None:
    """Show one of them: the event, how often it was tried, and why it failed."""
    from daybook.command_line.deciding import failure_now

    found = msgspec.to_builtins(failure_now(settings(), name, position))
    (print_json if as_json else print_result)(found)


@failed.command("retry", help=f"{verbs.RETRY.tells} Exit code 1 if it fails again.")
def retry(
    name: Name,
    position: Annotated[
        int | None, typer.Argument(help="The event's position; all that failed else.", min=1)
    ] = None,
    reason: Reason = BY_HAND,
    wait: Annotated[
        float, typer.Option(help="For how many seconds to wait for what comes of it.", min=0)
    ] = 10.0,
    as_json: Json = False,
) -> None:
    """Try an effect once more."""
    from daybook.command_line.deciding import retry_now

    tell(retry_now(settings(), name, position, reason, wait), as_json=as_json)


@failed.command("skip", help=verbs.SKIP.tells)
def skip(name: Name, position: Position, reason: Reason = BY_HAND, as_json: Json = False) -> None:
    """Let an event have no effect."""
    from daybook.command_line.deciding import skip_now

    tell(skip_now(settings(), name, position, reason), as_json=as_json)


def tell(outcome: "Outcome", *, as_json: bool) -> None:
    """Print what became of a decision."""
    if as_json:
        print_json(msgspec.to_builtins(outcome))
    else:
        what = "all that failed" if outcome.position is None else f"event {outcome.position}"
        said = {
            "done": "is done",
            "asked": "will be done by a worker",
            "failed": f"failed again: {outcome.error}",
        }[outcome.outcome]
        typer.echo(f"{outcome.reaction}: {what} {said}.")
    if outcome.outcome == "failed":
        raise typer.Exit(WRONG)


def status_table(found: "list[Status]") -> Table:
    """Lay the statuses out for people."""
    counts = map(number, ("Position", "Behind", "Failing", "Parked"))
    table = Table("Reaction", *counts, "State")
    for one in found:
        table.add_row(
            one.name,
            f"{one.position:,}",
            f"{one.events:,}, {one.seconds:.1f} s",
            f"{one.failing:,}",
            f"{one.parked:,}",
            one.state,
        )
    return table


def operations_table(found: "list[Operation]") -> Table:
    """Lay decisions out for people."""
    return asked_table(
        Row(
            one.asked_at,
            one.asked_by,
            f"{one.action} {one.reaction} {'all' if one.position is None else one.position}",
            one.reason,
            one.outcome,
            one.detail,
        )
        for one in found
    )


def failures_table(found: "list[Failure]") -> Table:
    """Lay failed events out for people."""
    attempts = number("Attempts")
    table = Table("Reaction", number("Position"), "Event", attempts, "Next", "Error")
    for one in found:
        again = f"{one.retry_at:%H:%M:%S}Z" if one.retry_at else "parked"
        table.add_row(
            one.reaction, str(one.position), one.event, str(one.attempts), again, one.error
        )
    return table
