"""Proving the log by `daybook audit`: verification against signed heads, and proven exports."""

from pathlib import Path
from typing import Annotated

import msgspec
import typer

from daybook.command_line.audit_options import (
    Actor,
    Cause,
    Command,
    Correlation,
    Data,
    First,
    Last,
    Name,
    Request,
    Role,
    Since,
    Stream,
    StreamType,
    Subject,
    Until,
    question_of,
    settings,
    show,
    words_of,
)
from daybook.printing import WRONG, Json, errors

proving = typer.Typer()


@proving.command("verify")
def verify(  # noqa: PLR0913, PLR0917 - what can be typed
    first: Annotated[int, typer.Option("--from", min=1, help="The first position.")] = 1,
    last: Last = None,
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
    from daybook.command_line.auditing import verify_now

    if since_verified and (first > 1 or last is not None):
        raise typer.BadParameter("It goes with no range.", param_hint="--since-verified")
    if last is not None and last < first:
        raise typer.BadParameter(f"It is before --from {first}.", param_hint="--to")
    verified = verify_now(
        settings(),
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
    elif not verified.events:
        typer.echo(
            f"Nothing has come into the tree after position {verified.last:,};"
            f" {verified.accesses:,} records of who asked what are as they were recorded."
        )
    else:
        typer.echo(
            f"{verified.events:,} events are as they were recorded ({verified.first:,} to"
            f" {verified.last:,}, {verified.heads:,} signed heads;"
            f" {verified.pending:,} are too new to be in the tree;"
            f" {verified.accesses:,} records of who asked what)."
        )
    if verified.finding:
        raise typer.Exit(WRONG)
    if not verified.heads and verified.events:
        errors.print("No signed head vouches for them.")
        raise typer.Exit(WRONG)


@proving.command("export")
def export(  # noqa: PLR0913, PLR0917 - what can be typed
    file: Annotated[Path, typer.Argument(help="Where to; the proof is put beside it.")],
    form: Annotated[
        str | None, typer.Option("--format", help="jsonl, csv or parquet; else by the name.")
    ] = None,
    stream: Stream = None,
    stream_type: StreamType = None,
    name: Name = None,
    actor: Actor = None,
    role: Role = None,
    subject: Subject = None,
    command: Command = None,
    request: Request = None,
    correlation: Correlation = None,
    cause: Cause = None,
    data: Data = None,
    happened_from: Since = None,
    happened_to: Until = None,
    recorded_from: Since = None,
    recorded_to: Until = None,
    first: First = None,
    last: Last = None,
    as_json: Json = False,
) -> None:
    """Export events up to the newest signed head, with a proof that each is in the log."""
    from daybook.command_line.audit_export import export_now
    from event_store.history.formats import FORMATS

    chosen = form or file.suffix.removeprefix(".")
    if chosen not in FORMATS:
        raise typer.BadParameter(f"Choose one of {', '.join(FORMATS)}.", param_hint="--format")
    question = question_of(
        {
            "stream_type": stream_type,
            "name": name,
            "actor_id": actor,
            "actor_role": role,
            "command": command,
            "request_id": request,
            "correlation_id": correlation,
            "causation_id": cause,
        },
        stream=stream,
        subject=subject,
        data=data or (),
        occurred=(happened_from, happened_to),
        recorded=(recorded_from, recorded_to),
        positions=(first, last),
        descending=False,
    )
    done = export_now(
        settings(),
        errors,
        file=file,
        form=next(one for one in FORMATS if one == chosen),
        question=question,
        words=words_of(question),
    )
    sentence = f"{done.events:,} events are in {done.file}, and what proves them in {done.proof}."
    show(as_json, done, sentence)
