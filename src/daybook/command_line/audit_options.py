"""What can be typed of a question over history, for `daybook audit events` and `export` alike."""

import os
from collections.abc import Collection, Iterable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import msgspec
import typer

from daybook.printing import out
from daybook.settings import Settings

if TYPE_CHECKING:
    from event_store.history.questions import Question

Stream = Annotated[UUID | None, typer.Option(help="The stream's id.")]
StreamType = Annotated[str | None, typer.Option("--type", help="Such as order.")]
Name = Annotated[str | None, typer.Option(help="Such as order.placed.")]
Actor = Annotated[str | None, typer.Option(help="Who did it.")]
Subject = Annotated[UUID | None, typer.Option(help="The user whom it is about.")]
Data = Annotated[
    list[str] | None, typer.Option(help="A value inside, such as sku=A-1; repeatable.")
]
First = Annotated[int | None, typer.Option("--from", min=1, help="The first position.")]
Last = Annotated[int | None, typer.Option("--to", min=1, help="The last position.")]
Role = Annotated[str | None, typer.Option(help="In which role, such as staff.")]
Command = Annotated[str | None, typer.Option(help="Such as PlaceOrder.")]
Request = Annotated[str | None, typer.Option(help="The request's id.")]
Correlation = Annotated[str | None, typer.Option(help="The correlation id.")]
Cause = Annotated[int | None, typer.Option(min=1, help="The position of what caused it.")]

DAY, TIMES = "%Y-%m-%d", ("%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%SZ")
MOMENT = "YYYY-MM-DD[THH:MM:SS[Z]]"


def moment(text: str) -> datetime:
    """Read a moment, in UTC; a day means its beginning."""
    for form in (DAY, *TIMES):
        with suppress(ValueError):
            return datetime.strptime(text, form).replace(tzinfo=UTC)
    raise typer.BadParameter(f"{text!r} is no {MOMENT}.")


def end(text: str) -> datetime:
    """Read a moment, in UTC, before which something is; a day means its end, as in the API."""
    read = moment(text)
    return read if "T" in text else read + timedelta(days=1)


Since = Annotated[
    datetime | None, typer.Option(parser=moment, metavar=MOMENT, help="Then or later, UTC.")
]
Until = Annotated[
    datetime | None,
    typer.Option(parser=end, metavar=MOMENT, help="Before then, UTC, or up to a day's end."),
]


def question_of(  # noqa: PLR0913 - what was typed, each by its name
    columns: dict[str, str | int | None],
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
        facts={column: str(value) for column, value in columns.items() if value},
        subject=subject,
        data=dict(inside(one) for one in data),
        occurred=occurred,
        recorded=recorded,
        positions=(first, None if last is None else last + 1),
        descending=descending,
    )


def words_of(question: "Question") -> dict[str, Any]:
    """Return what is recorded of a question: what it says, without what it leaves open."""
    said: dict[str, object] = {
        "stream": question.stream_id,
        "subject": question.subject,
        **question.facts,
        **question.data,
    }
    for name in ("occurred", "recorded", "positions"):
        ends = zip(("from", "to"), getattr(question, name), strict=True)
        said |= {f"{name}_{end}": at_end(value) for end, value in ends}
    return {name: str(value) for name, value in said.items() if value}


def at_end(value: datetime | int | None) -> object:
    """Return one end of a stretch as it is recorded."""
    return value.isoformat() if isinstance(value, datetime) else value


def settings() -> Settings:
    """Read the settings from the environment."""
    return Settings.from_environment(os.environ)


def inside(given: str) -> tuple[str, str]:
    """Read a condition on a value inside of events."""
    path, equals, value = given.removeprefix("data.").partition("=")
    if not equals or not path or not value:
        raise typer.BadParameter(f"{given!r} is no path=value.", param_hint="--data")
    return f"data.{path}", value


def check_kind(kind: str | None, kinds: Collection[str]) -> None:
    """Refuse a kind that there is not."""
    if kind is not None and kind not in kinds:
        raise typer.BadParameter(f"It is one of {', '.join(kinds)}.", param_hint="--kind")


def show(as_json: bool, found: object, laid_out: Any) -> None:  # noqa: FBT001 - the option's value
    """Print what was found for programs or for people."""
    if as_json:
        typer.echo(msgspec.json.encode(found))
    else:
        out.print(laid_out)
