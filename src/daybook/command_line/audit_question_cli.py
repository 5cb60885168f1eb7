"""What can be asked of the log's history by `daybook audit`; each question is recorded."""

from typing import Annotated
from uuid import UUID

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
    check_kind,
    question_of,
    settings,
    show,
    words_of,
)
from daybook.printing import Json

Before = Annotated[int | None, typer.Option(help="Only records before this number, to read on.")]

asking = typer.Typer()


@asking.command("events")
def events(  # noqa: PLR0913, PLR0917 - what can be typed
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
    limit: Annotated[int, typer.Option(min=1, max=1_000, help="How many at most.")] = 20,
    oldest_first: Annotated[bool, typer.Option("--oldest-first")] = False,
    as_json: Json = False,
) -> None:
    """Search the log, newest first; all conditions must hold."""
    from daybook.command_line import audit_questions as questions

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
        descending=not oldest_first,
    )
    found, more = questions.events(settings(), question, limit, words_of(question))
    show(as_json, {"events": found, "more": more}, questions.events_text(found))
    if more:
        last = found[-1].position
        go_on(as_json, f"--from {last + 1}" if oldest_first else f"--to {last - 1}")


@asking.command("show")
def show_event(position: Annotated[int, typer.Argument(min=1)], as_json: Json = False) -> None:
    """Show an event, what caused it, what it caused, and what else its request did."""
    from daybook.command_line import audit_questions as questions

    found = questions.event(settings(), position, 100)
    show(as_json, found, questions.event_tree(found))


@asking.command("history")
def history(
    stream: Annotated[UUID, typer.Argument(help="The stream's id, such as an order's.")],
    after: Annotated[
        int, typer.Option(min=0, help="Only what came after this position, to read on.")
    ] = 0,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many at most.")] = 1_000,
    as_json: Json = False,
) -> None:
    """Show who changed what of a stream, from what, to what; the oldest first."""
    from daybook.command_line import audit_questions as questions

    found, more = questions.stream(settings(), stream, after, limit)
    show(as_json, {"changes": found, "more": more}, questions.changes_text(found))
    if more:
        go_on(as_json, f"--after {found[-1].position}")


@asking.command("trace")
def trace(
    under: Annotated[
        str, typer.Argument(help="A correlation id, a request's id, or an event's position.")
    ],
    as_json: Json = False,
) -> None:
    """Show all that belongs together, each event below its cause, and from where it was asked."""
    from daybook.command_line import audit_questions as questions

    found = questions.trace(settings(), under)
    show(as_json, found, questions.trace_tree(found))


@asking.command("as-of")
def as_of(  # noqa: PLR0913, PLR0917 - what can be typed
    view: Annotated[
        str, typer.Argument(help="orders, products, users, sales-by-day, -product or -customer.")
    ],
    words: Annotated[
        list[str] | None,
        typer.Argument(help="What the API takes, such as status=paid sortBy=total page=2."),
    ] = None,
    at: Annotated[str, typer.Option(help="A position, a moment (UTC) or a day's end.")] = "",
    happened: Annotated[
        bool, typer.Option("--happened", help="By when it had happened, not when recorded.")
    ] = False,
    only: Annotated[UUID | None, typer.Option("--id", help="This one alone.")] = None,
    as_json: Json = False,
) -> None:
    """Show a list, or one thing, as it was; personal fields are sealed."""
    from daybook.command_line import audit_past
    from daybook.printing import errors

    if view not in audit_past.LISTS:
        raise typer.BadParameter(f"It is one of {', '.join(audit_past.LISTS)}.", param_hint="VIEW")
    given = dict(word(one) for one in words or ())
    if at:
        given["asOf"] = at
    if happened:
        given["asOfTime"] = "happened"
    found = audit_past.as_of(settings(), errors, view, only, given)
    show(as_json, found, audit_past.table_of(found))


def word(given: str) -> tuple[str, str]:
    """Read a name and a value."""
    name, equals, value = given.partition("=")
    if not (name and equals):
        raise typer.BadParameter(f"{given!r} is no name=value.")
    return name, value


@asking.command("accesses")
def accesses(  # noqa: PLR0913, PLR0917 - what can be typed
    kind: Annotated[
        str | None, typer.Option(help="question, export, verification, erasure or operation.")
    ] = None,
    actor: Actor = None,
    action: Annotated[str | None, typer.Option(help="Such as events or user.forgotten.")] = None,
    before: Before = None,
    limit: Annotated[int, typer.Option(min=1, max=1_000, help="How many.")] = 20,
    as_json: Json = False,
) -> None:
    """List who asked what of the log, verified, exported or erased, and what operators did."""
    from daybook.command_line import audit_questions as questions
    from event_store.history.accesses import KINDS, Accesses

    check_kind(kind, KINDS)
    wanted = Accesses(limit=limit, before=before, kind=kind, actor_id=actor, action=action)
    words = {"kind": kind, "actor": actor, "of": action}
    found, more = questions.accesses(settings(), wanted, words)
    show(as_json, {"accesses": found, "more": more}, questions.accesses_text(found))
    if more:
        go_on(as_json, f"--before {found[-1].number}")


@asking.command("sign-ins")
def sign_ins(  # noqa: PLR0913, PLR0917 - what can be typed
    user: Annotated[UUID | None, typer.Option(help="Only of this user.")] = None,
    address: Annotated[str | None, typer.Option(help="Only from this address.")] = None,
    kind: Annotated[
        str | None, typer.Option(help="Only what came of it so: signed_in, failed, locked_out …")
    ] = None,
    before: Before = None,
    limit: Annotated[int, typer.Option(min=1, max=1_000, help="How many.")] = 20,
    as_json: Json = False,
) -> None:
    """List who signed in, or tried, from where, and what came of it; the newest first."""
    from daybook.command_line import audit_questions as questions
    from event_store.sign_in_records import KINDS, SignInQuery

    check_kind(kind, KINDS)
    query = SignInQuery(kind=kind, user_id=user, address=address, before=before, limit=limit)
    words = {key: value for key, value in msgspec.structs.asdict(query).items() if value}
    found, more = questions.sign_ins(settings(), query, words)
    show(as_json, {"sign_ins": found, "more": more}, questions.sign_ins_text(found))
    if more:
        go_on(as_json, f"--before {found[-1].number}")


def go_on(as_json: bool, words: str) -> None:  # noqa: FBT001 - the option's value
    """Say how to ask for what comes next; programs know it by `more`."""
    if not as_json:
        typer.echo(f"There are more: {words}")
