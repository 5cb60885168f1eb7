"""The command line `daybook audit`: questions over the log's history, and the proof of it."""

import os
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import msgspec
import typer
from rich.console import Console

from daybook.settings import Settings

if TYPE_CHECKING:
    from event_store.history.questions import Question

WRONG = 1

audit = typer.Typer(help="The log's history and the proof of it.", no_args_is_help=True)
out, errors = Console(), Console(stderr=True)
MOST_TRACED = 1_000
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


Moment = Annotated[
    datetime | None,
    typer.Option(formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%SZ"], help="UTC."),
]


@audit.command("events")
def events(  # noqa: PLR0913, PLR0917 - what can be typed
    stream: Annotated[UUID | None, typer.Option(help="The stream's id.")] = None,
    stream_type: Annotated[str | None, typer.Option("--type", help="Such as order.")] = None,
    name: Annotated[str | None, typer.Option(help="Such as order.placed.")] = None,
    actor: Annotated[str | None, typer.Option(help="Who did it.")] = None,
    subject: Annotated[UUID | None, typer.Option(help="The user whom it is about.")] = None,
    command: Annotated[str | None, typer.Option(help="Such as PlaceOrder.")] = None,
    request: Annotated[str | None, typer.Option(help="The request's id.")] = None,
    correlation: Annotated[str | None, typer.Option(help="The correlation id.")] = None,
    data: Annotated[
        list[str] | None, typer.Option(help="A value inside, such as sku=A-1; repeatable.")
    ] = None,
    happened_from: Moment = None,
    happened_to: Moment = None,
    recorded_from: Moment = None,
    recorded_to: Moment = None,
    first: Annotated[int | None, typer.Option("--from", min=1, help="The first position.")] = None,
    last: Annotated[int | None, typer.Option("--to", min=1, help="The last position.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1_000, help="How many at most.")] = 20,
    oldest_first: Annotated[bool, typer.Option("--oldest-first")] = False,
    as_json: Json = False,
) -> None:
    """Search the log, newest first; all conditions must hold."""
    from daybook import audit_questions as questions

    question = question_of(
        {
            "stream_type": stream_type,
            "name": name,
            "actor_id": actor,
            "command": command,
            "request_id": request,
            "correlation_id": correlation,
        },
        stream=stream,
        subject=subject,
        data=data or (),
        occurred=(happened_from, happened_to),
        recorded=(recorded_from, recorded_to),
        positions=(first, last),
        descending=not oldest_first,
    )
    found = questions.events(settings(), question, limit, words_of(question))
    show(as_json, {"events": found}, questions.events_table(found))


@audit.command("show")
def show_event(position: Annotated[int, typer.Argument(min=1)], as_json: Json = False) -> None:
    """Show an event, what caused it, what it caused, and what else its request did."""
    from daybook import audit_questions as questions

    found = questions.event(settings(), position, 100)
    show(as_json, found, questions.event_tree(found))


@audit.command("history")
def history(
    stream: Annotated[UUID, typer.Argument(help="The stream's id, such as an order's.")],
    as_json: Json = False,
) -> None:
    """Show who changed what of a stream, from what, to what."""
    from daybook import audit_questions as questions

    found = questions.stream(settings(), stream)
    show(as_json, {"changes": found}, questions.changes_table(found))


@audit.command("trace")
def trace(
    correlation: Annotated[str, typer.Argument(help="A correlation id, or a request's id.")],
    as_json: Json = False,
) -> None:
    """Show all that happened under a correlation id, each event below the one that caused it."""
    from daybook import audit_questions as questions
    from event_store.history.questions import Question

    question = Question(facts={"correlation_id": correlation}, descending=False)
    words = {"correlation": correlation}
    found = questions.events(settings(), question, MOST_TRACED, words)
    show(as_json, {"events": found}, questions.trace_tree(found))


@audit.command("export")
def export(  # noqa: PLR0913, PLR0917 - what can be typed
    file: Annotated[Path, typer.Argument(help="Where to; the proof is put beside it.")],
    form: Annotated[
        str | None, typer.Option("--format", help="jsonl, csv or parquet; else by the name.")
    ] = None,
    stream: Annotated[UUID | None, typer.Option(help="The stream's id.")] = None,
    stream_type: Annotated[str | None, typer.Option("--type", help="Such as order.")] = None,
    name: Annotated[str | None, typer.Option(help="Such as order.placed.")] = None,
    actor: Annotated[str | None, typer.Option(help="Who did it.")] = None,
    subject: Annotated[UUID | None, typer.Option(help="The user whom it is about.")] = None,
    data: Annotated[
        list[str] | None, typer.Option(help="A value inside, such as sku=A-1; repeatable.")
    ] = None,
    happened_from: Moment = None,
    happened_to: Moment = None,
    recorded_from: Moment = None,
    recorded_to: Moment = None,
    first: Annotated[int | None, typer.Option("--from", min=1, help="The first position.")] = None,
    last: Annotated[int | None, typer.Option("--to", min=1, help="The last position.")] = None,
    as_json: Json = False,
) -> None:
    """Export events up to the newest signed head, with a proof that each is in the log."""
    from daybook.audit_export import export_now
    from event_store.history.formats import FORMATS

    chosen = form or file.suffix.removeprefix(".")
    if chosen not in FORMATS:
        raise typer.BadParameter(f"Choose one of {', '.join(FORMATS)}.", param_hint="--format")
    question = question_of(
        {"stream_type": stream_type, "name": name, "actor_id": actor},
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


def question_of(  # noqa: PLR0913 - what was typed, each by its name
    columns: dict[str, str | None],
    *,
    stream: UUID | None,
    subject: UUID | None,
    data: Iterable[str],
    occurred: tuple[datetime | None, datetime | None],
    recorded: tuple[datetime | None, datetime | None],
    positions: tuple[int | None, int | None],
    descending: bool,
) -> "Question":
    """Return what was typed as a question."""
    from event_store.history.questions import Question

    first, last = positions
    return Question(
        stream_id=stream,
        facts={column: value for column, value in columns.items() if value},
        subject=subject,
        data=dict(inside(one) for one in data),
        occurred=(utc(occurred[0]), utc(occurred[1])),
        recorded=(utc(recorded[0]), utc(recorded[1])),
        positions=(first, None if last is None else last + 1),
        descending=descending,
    )


def words_of(question: "Question") -> dict[str, Any]:
    """Return what is recorded of a question: what it says, without what it leaves open."""
    said = msgspec.structs.asdict(question).items()
    return {name: value for name, value in said if value and value != (None, None)}


def settings() -> Settings:
    """Read the settings from the environment."""
    return Settings.from_environment(os.environ)


def inside(given: str) -> tuple[str, str]:
    """Read a condition on a value inside of events."""
    path, equals, value = given.removeprefix("data.").partition("=")
    if not equals or not path or not value:
        raise typer.BadParameter(f"{given!r} is no path=value.", param_hint="--data")
    return f"data.{path}", value


def utc(moment: datetime | None) -> datetime | None:
    """Return a moment that was typed, in UTC."""
    return None if moment is None else moment.replace(tzinfo=UTC)


def show(as_json: bool, found: object, laid_out: Any) -> None:  # noqa: FBT001 - the option's value
    """Print what was found for programs or for people."""
    if as_json:
        typer.echo(msgspec.json.encode(found))
    else:
        out.print(laid_out)


@audit.command("sign-ins")
def sign_ins(  # noqa: PLR0913, PLR0917 - what can be typed
    user: Annotated[UUID | None, typer.Option(help="Only of this user.")] = None,
    address: Annotated[str | None, typer.Option(help="Only from this address.")] = None,
    kind: Annotated[
        str | None, typer.Option(help="Only what came of it so: signed_in, failed, locked_out …")
    ] = None,
    before: Annotated[
        int | None, typer.Option(help="Only records before this number, to read on.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=1_000, help="How many.")] = 20,
    as_json: Json = False,
) -> None:
    """List who signed in, or tried, from where, and what came of it; the newest first."""
    from daybook import audit_questions as questions
    from event_store.sign_in_records import KINDS, SignInQuery

    if kind is not None and kind not in KINDS:
        raise typer.BadParameter(f"It is one of {', '.join(KINDS)}.", param_hint="--kind")
    query = SignInQuery(kind=kind, user_id=user, address=address, before=before, limit=limit)
    words = {key: value for key, value in msgspec.structs.asdict(query).items() if value}
    found, more = questions.sign_ins(settings(), query, words)
    show(as_json, {"sign_ins": found, "more": more}, questions.sign_ins_table(found))
    if more and not as_json:
        typer.echo(f"There are more: --before {found[-1].number}")
