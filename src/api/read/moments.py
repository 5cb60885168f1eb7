"""The parameters that say as of when something is asked: a position, or a moment of either time."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from litestar.openapi.spec import Schema
from litestar.openapi.spec.enums import OpenAPIType

from api.read.values import Value, choice, instant
from projections.pasts.lists import Moment

LONGEST_POSITION = 18
MOMENT = instant("", day_counts=True)


def place_or_moment(given: str) -> int | datetime:
    """Read a position or a moment; a day means its end (UTC)."""
    if given.isascii() and given.isdigit() and len(given) <= LONGEST_POSITION:
        return int(given)
    found: datetime = MOMENT.read(given)
    return found


VALUES: dict[str, Value] = {
    "asOf": Value(
        "For auditors: as it was at this position of the log, or at this moment.",
        f"a position, {MOMENT.accepted}",
        place_or_moment,
        Schema(
            any_of=[
                Schema(type=OpenAPIType.STRING, pattern=f"^[0-9]{{1,{LONGEST_POSITION}}}$"),
                *(MOMENT.schema.any_of or []),
            ],
            examples=["1204", "2026-11-23T09:30:00Z"],
        ),
    ),
    "asOfTime": choice(
        "Whether a moment in `asOf` means what was recorded by then, or what had happened.",
        ("recorded", "happened"),
        "recorded",
    ),
}


def moment_in(found: Mapping[str, Any]) -> Moment | None:
    """Return as of when is asked, None if it is now."""
    if "asOf" not in found:
        return None
    return Moment(found["asOf"], found.get("asOfTime") == "happened")
