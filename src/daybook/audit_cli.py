"""The command line `daybook audit`: the log's evidence."""

import os
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console

from daybook.settings import Settings

WRONG = 1

audit = typer.Typer(help="The log's history and the proof of it.", no_args_is_help=True)
errors = Console(stderr=True)
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")]


@audit.callback()
def about() -> None:
    """Say who did what, and prove that nothing was altered."""


@audit.command("verify")
def verify(  # noqa: PLR0913, PLR0917 - what can be typed
    first: Annotated[int, typer.Option("--from", min=1, help="The first position.")] = 1,
    last: Annotated[int | None, typer.Option("--to", min=1, help="The last position.")] = None,
    since_verified: Annotated[
        bool, typer.Option("--since-verified", help="Only what came after the last verification.")
    ] = False,
    against: Annotated[
        list[Path] | None,
        typer.Option(help="A published head, a file; repeatable.", exists=True, dir_okay=False),
    ] = None,
    key: Annotated[
        list[str] | None, typer.Option(help="A public key to trust besides; repeatable.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Hash every event again and compare with the signed heads; exit code 1 if one is wrong."""
    from daybook.auditing import verify_now

    if since_verified and (first > 1 or last is not None):
        raise typer.BadParameter("It goes with no range.", param_hint="--since-verified")
    if last is not None and last < first:
        raise typer.BadParameter(f"It is before --from {first}.", param_hint="--to")
    verified = verify_now(
        Settings.from_environment(os.environ),
        errors,
        first=first,
        last=last,
        since_verified=since_verified,
        against=against or (),
        keys=key or (),
    )
    if as_json:
        typer.echo(msgspec.json.encode(verified))
    elif verified.finding:
        typer.echo(verified.finding.sentence)
    else:
        typer.echo(
            f"{verified.events:,} events are as they were recorded ({verified.first:,} to"
            f" {verified.last:,}, {verified.heads:,} signed heads;"
            f" {verified.pending:,} are too new to be in the tree)."
        )
    if verified.finding:
        raise typer.Exit(WRONG)
    if not verified.heads and verified.events:
        errors.print("No signed head vouches for them.")
        raise typer.Exit(WRONG)
