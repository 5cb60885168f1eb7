"""Events as auditors see them: each column as it is stored, personal fields sealed."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

COLUMNS = (
    "position, stream_id, stream_type, version, name, schema_version, data::text, actor_id,"
    " actor_role, request_id, correlation_id, causation_id, command_id, command, occurred_at,"
    " recorded_at"
)


class Entry(msgspec.Struct, frozen=True, rename="camel"):
    """One event of the log. `data` is what is stored: personal fields are sealed in it."""

    position: int
    stream_id: UUID
    stream_type: str
    version: int
    name: str
    schema_version: int
    data: msgspec.Raw
    actor_id: str
    actor_role: str
    request_id: str
    correlation_id: str
    causation_id: int | None
    command_id: UUID
    command: str
    occurred_at: datetime
    recorded_at: datetime


def entry(row: Sequence[Any]) -> Entry:
    """Make the entry of a row of `COLUMNS`."""
    position, stream_id, stream_type, version, name, schema_version, data, *audit = row
    raw = msgspec.Raw(data.encode())
    return Entry(position, stream_id, stream_type, version, name, schema_version, raw, *audit)
