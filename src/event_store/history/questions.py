"""What can be asked of history, and the same as conditions in SQL, which decide in the end."""

from datetime import datetime
from uuid import UUID

import msgspec

from event_store.history.terms import buckets_of, number_or_text

SUBJECT = (
    "(stream_type = 'user' and stream_id::text = %s"
    " or data ->> 'user_id' = %s or data -> 'sale' ->> 'user_id' = %s)"
)


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """Which events are asked for: those for which all of it holds.

    `facts` are columns and their values, `data` paths inside the event and theirs. Times and
    positions: from the first one on, up to and without the second.
    """

    stream_id: UUID | None = None
    facts: dict[str, str] = {}
    subject: UUID | None = None
    data: dict[str, str] = {}
    occurred: tuple[datetime | None, datetime | None] = (None, None)
    recorded: tuple[datetime | None, datetime | None] = (None, None)
    positions: tuple[int | None, int | None] = (None, None)
    descending: bool = True

    @property
    def terms(self) -> list[tuple[str, str]]:
        """Return what is looked up in the index, names and values."""
        found = list(self.facts.items())
        found += [(path, number_or_text(value)) for path, value in self.data.items()]
        return found + ([("subject", str(self.subject))] if self.subject else [])

    @property
    def buckets(self) -> list[int]:
        """Return the places in the index in which an event must be."""
        return sorted({bucket for one in self.terms for bucket in buckets_of(*one)})

    def conditions(self) -> tuple[str, list[object]]:
        """Return the SQL that decides, and its values."""
        parts: list[str] = ["true"]
        values: list[object] = []
        if self.stream_id:
            parts.append("stream_id = %s")
            values.append(self.stream_id)
        for name, value in self.facts.items():
            parts.append("causation_id::text = %s" if name == "causation_id" else f"{name} = %s")
            values.append(value)
        if self.subject:
            parts.append(SUBJECT)
            values += [str(self.subject)] * 3
        for path, value in self.data.items():
            parts.append("jsonb_path_exists(data, %s::jsonpath, %s::jsonb, true)")
            values += json_path(path, value)
        for name, ends in (("occurred_at", self.occurred), ("recorded_at", self.recorded)):
            for sign, end in zip((">=", "<"), ends, strict=True):
                if end is not None:
                    parts.append(f"{name} {sign} %s")
                    values.append(end)
        return " and ".join(parts), values


def json_path(path: str, value: str) -> tuple[str, str]:
    """Return the path to a value inside `data`, at which lists are passed through, and its values.

    What is given as text is found as text, as a number, as true, false and null.
    """
    steps = "".join(f'."{name}"' for name in path.split(".")[1:])
    wanted: dict[str, object] = {"text": value}
    either = ["@ == $text"]
    if value in {"true", "false", "null"}:
        either.append(f"@ == {value}")
    number = number_or_text(value)
    try:
        wanted["number"] = float(number) if number not in {"nan", "inf", "-inf"} else 0.0
        either.append("@ == $number")
    except ValueError:
        pass
    return f"${steps} ? ({' || '.join(either)})", msgspec.json.encode(wanted).decode()
