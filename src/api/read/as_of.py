"""`asOf`: single resources as they were at a position or moment, for auditors."""

from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from litestar.openapi.spec import Schema
from litestar.openapi.spec.enums import OpenAPIType
from sqlalchemy import Table

from api.guards import AUDITOR, check
from api.read.answers import ViewAnswer, single
from api.read.evidence import access
from api.read.lists import given_in, read_values
from api.read.values import Value, choice, instant
from api.request import ApiRequest
from domain.refusal import NotFound
from event_store.trail import Trail
from projections.as_of import row_of_stream
from projections.projection import Projection, Row

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
        Schema(type=OpenAPIType.STRING, examples=["1204", "2026-11-23T09:30:00Z"]),
    ),
    "asOfTime": choice(
        "Whether a moment in `asOf` means what was recorded by then, or what had happened.",
        ("recorded", "happened"),
        "recorded",
    ),
}


async def shown_as_of(  # noqa: PLR0913, PLR0917 - what is shown, and how
    request: ApiRequest,
    trail: Trail,
    projection: Projection,
    table: Table,
    key: UUID,
    view: Callable[[Row], msgspec.Struct],
    values: dict[str, Value],
) -> ViewAnswer:
    """Answer with a resource as it was: exactly what a rebuild that stops there would show.

    It costs the reading of its stream up to there. Personal fields are sealed; it is recorded.
    """
    check(AUDITOR, request.context.caller)
    asked: dict[str, Any] = read_values(values, given_in(request))
    happened = asked.get("asOfTime") == "happened"
    noted = access(request, "as_of", view=projection.name, id=str(key))
    events = await trail.stream_as_of(key, asked["asOf"], noted, happened=happened)
    row = row_of_stream(projection, table, key, events)
    if row is None:
        raise NotFound
    place = asked["asOf"] if isinstance(asked["asOf"], int) else events[-1].position
    return single(request, view(row), asked.get("fields"), version=row["version"], position=place)
