"""The command line of projections: what operators see of the views, and what they ask for."""

import os
from typing import TYPE_CHECKING, Annotated

import typer

from daybook.printing import WRONG, Json, errors, out, print_json
from daybook.settings import Settings

if TYPE_CHECKING:
    from daybook.operating import Wish

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
    from daybook.showing import list_table
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
    from daybook.overseeing import Limits, looks, troubles
    from daybook.showing import as_object, showing

    limits = Limits(max_lag_events, max_lag_seconds)
    wrong: list[str] = []
    with showing(out, again=watch is not None) as show:
        for found in looks(settings(), name, watch):
            wrong = troubles(found, limits)
            if as_json:
                print_json({"projections": [as_object(one) for one in found], "troubles": wrong})
            else:
                show(found, wrong)
    if wrong:
        raise typer.Exit(WRONG)


@projections.command("pause")
def pause(
    name: Name,
    reason: Reason = BY_HAND,
    as_json: Json = False,
) -> None:
    """Let a view stand still; it is read as it is."""
    from commands.projections.pause_projection import PauseProjection, pause_projection
    from daybook.operating import each

    ask(each(name, pause_projection, PauseProjection, reason=reason), as_json=as_json)


@projections.command("resume")
def resume(
    name: Name,
    reason: Reason = BY_HAND,
    as_json: Json = False,
) -> None:
    """Let a paused view follow the log again."""
    from commands.projections.resume_projection import ResumeProjection, resume_projection
    from daybook.operating import each

    ask(each(name, resume_projection, ResumeProjection, reason=reason), as_json=as_json)


@projections.command("rebuild")
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
    """Make a view anew from the first event on, while the old one is read and posted on."""
    from commands.projections.rebuild_projection import RebuildProjection, rebuild_projection
    from daybook.operating import each
    from domain.projection_control import HowToRebuild

    how = HowToRebuild(
        dry_run=dry_run, hold=hold, on_failure="park" if park else "stop", throttle=throttle
    )
    ask(each(name, rebuild_projection, RebuildProjection, reason=reason, how=how), as_json=as_json)


@projections.command("compare")
def compare(
    name: Name, throttle: Throttle = 100, reason: Reason = BY_HAND, as_json: Json = False
) -> None:
    """Find out whether a view holds what the log says; exit code 1 if it does not."""
    from commands.projections.rebuild_projection import RebuildProjection, rebuild_projection
    from daybook.operating import each
    from domain.projection_control import HowToRebuild

    how = HowToRebuild(dry_run=True, throttle=throttle)
    wishes = each(name, rebuild_projection, RebuildProjection, reason=reason, how=how)
    ask(wishes, as_json=as_json, must_be_equal=True)


@projections.command("throttle")
def throttle(
    name: Name,
    throttle: Annotated[int, typer.Argument(help="Percent of the time.", min=5, max=100)],
    reason: Reason = BY_HAND,
    as_json: Json = False,
) -> None:
    """Let the rebuild under way work in a share of the time."""
    from commands.projections.throttle_rebuild import ThrottleRebuild, throttle_rebuild
    from daybook.operating import each

    wishes = each(name, throttle_rebuild, ThrottleRebuild, reason=reason, throttle=throttle)
    ask(wishes, as_json=as_json)


@projections.command("swap")
def swap(
    name: Name,
    reason: Reason = BY_HAND,
    as_json: Json = False,
) -> None:
    """Swap the rebuild in that was held."""
    from commands.projections.swap_rebuild import SwapRebuild, swap_rebuild
    from daybook.operating import each

    ask(each(name, swap_rebuild, SwapRebuild, reason=reason), as_json=as_json)


@projections.command("cancel")
def cancel(
    name: Name,
    reason: Reason = BY_HAND,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Give the rebuild under way up; the live view stays as it is."""
    from commands.projections.cancel_rebuild import CancelRebuild, cancel_rebuild
    from daybook.operating import each

    confirm(f"Give up the rebuild of {name}?", yes=yes)
    ask(each(name, cancel_rebuild, CancelRebuild, reason=reason), as_json=as_json)


@projections.command("rollback")
def rollback(
    name: Name,
    reason: Reason = BY_HAND,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Read the tables from before the last swap again."""
    from commands.projections.roll_back_projection import RollBackProjection, roll_back_projection
    from daybook.operating import each

    confirm(f"Put the former tables of {name} back?", yes=yes)
    ask(each(name, roll_back_projection, RollBackProjection, reason=reason), as_json=as_json)


@projections.command("prune")
def prune(
    name: Name,
    reason: Reason = BY_HAND,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Drop the tables that were kept for a rollback."""
    from commands.projections.prune_projection import PruneProjection, prune_projection
    from daybook.operating import each

    confirm(f"Drop the former tables of {name}? No rollback is possible then.", yes=yes)
    ask(each(name, prune_projection, PruneProjection, reason=reason), as_json=as_json)


def ask(wishes: "list[Wish]", *, as_json: bool, must_be_equal: bool = False) -> None:
    """Ask, wait, and show what came of it; exit code 1 if something was not done."""
    from daybook.operating import carried_out, is_equal, outcome, told
    from daybook.showing import ends_tables

    ends = carried_out(settings(), wishes, errors)
    if as_json:
        print_json({"projections": told(ends)})
    else:
        out.print(*ends_tables(ends), sep="\n")
    wrong = [end for end in ends if outcome(end) not in {"done", "held"}]
    if wrong or (must_be_equal and not all(map(is_equal, ends))):
        raise typer.Exit(WRONG)


def confirm(question: str, *, yes: bool) -> None:
    """Go on only if it is meant."""
    if not yes:
        typer.confirm(question, abort=True, err=True)
