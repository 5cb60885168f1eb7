"""The command line of projections: what operators see of the views, and what they ask for."""

import os
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated

import typer

from commands.projections import verbs
from commands.projections.verbs import Verb
from daybook.printing import WRONG, Json, errors, out, print_json
from daybook.settings import Settings

if TYPE_CHECKING:
    from daybook.command_line.operating import Ended

projections = typer.Typer(
    help="The views: where they stand, pausing, repairing and making them anew.",
    no_args_is_help=True,
)

Name = Annotated[str, typer.Argument(help="A projection's name, or all.")]
Reason = Annotated[str, typer.Option(help="Why: it is kept in the log, with who asked.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask whether it is meant.")]
Throttle = Annotated[
    int, typer.Option(help="In which share of the time builders work, in percent.", min=5, max=100)
]
BY_HAND = "asked for on the command line"


def settings() -> Settings:
    """Read the settings from the environment."""
    return Settings.from_environment(os.environ)


@projections.command("list")
def list_projections(as_json: Json = False) -> None:
    """List the projections: their versions, tables, and how many kinds of events they listen to."""
    from daybook.command_line.showing import list_table
    from projections.switched_on import PROJECTIONS

    found = [
        {
            "name": one.name,
            "version": one.version,
            "tables": [table.name for table in one.tables],
            "events": list(one.event_names),
        }
        for one in PROJECTIONS.values()
    ]
    if as_json:
        print_json({"projections": found})
    else:
        out.print(list_table(PROJECTIONS.values()))


@projections.command("status")
def status(
    name: Name = "all",
    max_lag_events: Annotated[
        int | None, typer.Option(help="Exit code 1 if a view is more events behind.", min=0)
    ] = None,
    max_lag_seconds: Annotated[
        float | None, typer.Option(help="Exit code 1 if a view is more seconds behind.", min=0)
    ] = None,
    watch: Annotated[
        float | None, typer.Option(help="Look every so many seconds, until Ctrl-C.", min=0.2)
    ] = None,
    as_json: Json = False,
) -> None:
    """Show how far each view is behind the log, how fast it follows, and who posts it.

    Exit code 1 if one stands still or is further behind than it may be.
    """
    from daybook.command_line.overseeing import Limits, looks, troubles
    from daybook.command_line.showing import as_object, showing

    limits = Limits(max_lag_events, max_lag_seconds)
    wrong: list[str] = []
    ends = (KeyboardInterrupt,) if watch else ()
    with suppress(*ends), showing(out, again=watch is not None) as show:
        for found in looks(settings(), name, watch):
            wrong = troubles(found, limits)
            if as_json:
                print_json({"projections": [as_object(one) for one in found], "troubles": wrong})
            else:
                show(found, wrong)
    if wrong:
        raise typer.Exit(WRONG)


@projections.command("operations")
def list_operations(
    name: Name = "all",
    limit: Annotated[int, typer.Option(help="How many are shown.", min=1, max=10_000)] = 20,
    as_json: Json = False,
) -> None:
    """List who asked for what, when and why, and what came of it; the newest first."""
    from daybook.command_line.overseeing import operations_now
    from daybook.command_line.showing import operation_as_object, operations_table

    found = operations_now(settings(), name, limit)
    if as_json:
        print_json({"operations": [operation_as_object(one) for one in found]})
    else:
        out.print(operations_table(found) if found else "Nothing was asked for.")


@projections.command("rebuild", help=verbs.REBUILD.tells)
def rebuild(
    name: Name,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would change; nothing is swapped.")
    ] = False,
    hold: Annotated[
        bool, typer.Option("--hold", help="Only build and compare; `swap` swaps it in later.")
    ] = False,
    park: Annotated[
        bool, typer.Option("--park", help="Park events that cannot be applied, instead of ending.")
    ] = False,
    throttle: Throttle = 100,
    reason: Reason = BY_HAND,
    as_json: Json = False,
) -> None:
    """Make a view anew."""
    from domain.projection_control import HowToRebuild

    how = HowToRebuild(
        dry_run=dry_run, hold=hold, on_failure="park" if park else "stop", throttle=throttle
    )
    ask(name, verbs.REBUILD, as_json=as_json, reason=reason, how=how)


@projections.command("compare", help=f"{verbs.COMPARE.tells} Exit code 1 if it does not.")
def compare(
    name: Name, throttle: Throttle = 100, reason: Reason = BY_HAND, as_json: Json = False
) -> None:
    """Compare a view with what the log says."""
    from daybook.command_line.operating import is_equal
    from domain.projection_control import HowToRebuild

    how = HowToRebuild(dry_run=True, throttle=throttle)
    ends = ask(name, verbs.COMPARE, as_json=as_json, reason=reason, how=how)
    if not all(map(is_equal, ends)):
        raise typer.Exit(WRONG)


@projections.command("throttle", help=verbs.THROTTLE.tells)
def throttle(
    name: Name,
    throttle: Annotated[int, typer.Argument(help="Percent of the time.", min=5, max=100)],
    reason: Reason = BY_HAND,
    as_json: Json = False,
) -> None:
    """Throttle a rebuild."""
    ask(name, verbs.THROTTLE, as_json=as_json, reason=reason, throttle=throttle)


def add(verb: Verb) -> None:
    """Add the command of a verb that needs no more than a name and a reason."""

    def at_once(name: Name, reason: Reason = BY_HAND, as_json: Json = False) -> None:
        ask(name, verb, as_json=as_json, reason=reason)

    def if_meant(
        name: Name, reason: Reason = BY_HAND, yes: Yes = False, as_json: Json = False
    ) -> None:
        confirm(verb.question.format(name), yes=yes)
        ask(name, verb, as_json=as_json, reason=reason)

    command = if_meant if verb.question else at_once
    projections.command(verb.word, help=verb.tells)(command)


for one in (verbs.PAUSE, verbs.RESUME, verbs.SWAP, verbs.CANCEL, verbs.ROLL_BACK, verbs.PRUNE):
    add(one)


def ask(name: str, verb: Verb, *, as_json: bool, **given: object) -> "list[Ended]":
    """Ask, wait, and show what came of it; exit code 1 if something was not done."""
    from daybook.command_line.operating import carried_out, each, outcome, told
    from daybook.command_line.showing import ends_tables

    ends = carried_out(settings(), each(name, verb, **given), errors)
    if as_json:
        print_json({"projections": told(ends)})
    else:
        out.print(*ends_tables(ends), sep="\n")
    if any(outcome(end) not in {"done", "held"} for end in ends):
        raise typer.Exit(WRONG)
    return ends


def confirm(question: str, *, yes: bool) -> None:
    """Go on only if it is meant."""
    if not yes:
        typer.confirm(question, abort=True, err=True)
