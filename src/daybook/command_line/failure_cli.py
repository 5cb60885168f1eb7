"""The command line of failures: events that could not be applied to a view, and what to do."""

from typing import Annotated

import typer

from commands.projections import verbs
from daybook.command_line.projection_cli import BY_HAND, Reason, Yes, ask, confirm, settings
from daybook.printing import Json, out, print_json

failures = typer.Typer(
    help="Events that could not be applied to a view, and what waits behind them.",
    no_args_is_help=True,
)

One = Annotated[str, typer.Argument(help="The projection.")]
Position = Annotated[int, typer.Argument(help="The position of the event that failed.", min=1)]


@failures.command("list")
def list_failures(
    name: Annotated[str, typer.Argument(help="A projection's name, or all.")] = "all",
    limit: Annotated[int, typer.Option(help="How many are shown.", min=1, max=10_000)] = 100,
    as_json: Json = False,
) -> None:
    """List events that could not be applied, each with how many wait behind it."""
    from daybook.command_line.overseeing import failures_now
    from daybook.command_line.showing import as_object, failures_table

    found = failures_now(settings(), name, limit)
    if as_json:
        print_json({"failures": [as_object(one) for one in found]})
    else:
        out.print(failures_table(found) if found else "Nothing is parked.")


@failures.command("show")
def show_failure(name: One, position: Position, as_json: Json = False) -> None:
    """Show an event that could not be applied, and where in the program that arose."""
    from daybook.command_line.overseeing import failure_now
    from daybook.command_line.showing import as_object, failure_text

    found = failure_now(settings(), name, position)
    if as_json:
        print_json({"failure": as_object(found)})
    else:
        out.print(failure_text(found), markup=False, highlight=False)


@failures.command("retry", help=f"{verbs.RETRY_ALL.tells} It is read anew, through the upcasters.")
def retry(
    name: Annotated[str, typer.Argument(help="A projection's name, or all.")],
    position: Annotated[
        int | None, typer.Argument(help="The event that failed; without it all are tried.", min=1)
    ] = None,
    reason: Reason = BY_HAND,
    as_json: Json = False,
) -> None:
    """Retry what is parked."""
    ask(name, verbs.RETRY, as_json=as_json, reason=reason, position=position)


@failures.command("skip", help=verbs.SKIP.tells)
def skip(
    name: One, position: Position, reason: Reason = BY_HAND, yes: Yes = False, as_json: Json = False
) -> None:
    """Skip an event."""
    confirm(f"Leave event {position} out of {name} for good?", yes=yes)
    ask(name, verbs.SKIP, as_json=as_json, reason=reason, position=position)
