"""The call of the SQL function `append_events`: a batch as its arguments, its rows as verdicts."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from event_store.event_types import encode
from event_store.records import Append, Appended, ClaimTaken, Repeated, VersionConflict

CALL = """
select verdict, culprit, actual, last_position, stamp, first_fingerprint, first_answer
  from append_events(
    %b::uuid[], %b::text[], %b::text[], %b::text[], %b::text[], %b::bigint[], %b::text[],
    %b::timestamptz[],
    %b::text[], %b::text[], %b::text[], %b::text[], %b::timestamptz[],
    %b::uuid[], %b::text[],
    %b::int[], %b::int[], %b::int[], %b::uuid[], %b::int[],
    %b::int[], %b::text[], %b::text[], %b::uuid[], %b::boolean[],
    %b::int[], %b::int[], %b::int[], %b::text[], %b::int[], %b::text[]
)
"""

Row = tuple[str, int | None, int | None, int | None, datetime, str | None, str | None]
Verdict = Appended | Repeated | VersionConflict | ClaimTaken


def arguments(batch: Sequence[Append]) -> list[list[Any]]:
    """Lay a batch out as the function's arrays; numbers inside them count from 1, as in SQL."""
    streams: dict[UUID, tuple[int, str]] = {}
    checks: list[tuple[int, int, int, UUID | None, int]] = []
    claims: list[tuple[int, str, str, UUID, bool]] = []
    events: list[tuple[int, int, int, str, int, str]] = []
    for number, command in enumerate(batch, 1):
        for change in command.changes:
            stream, _ = streams.setdefault(change.stream_id, (len(streams) + 1, change.stream_type))
            expected = change.expected_version
            checks.append((number, stream, expected, change.tip, len(change.events)))
            for version, event in enumerate(change.events, expected + 1):
                events.append((number, stream, version, *encode(event)))
        claims.extend((number, c.scope, c.value, c.stream_id, c.kept) for c in command.claims)
    audits = [command.audit for command in batch]
    return [
        [command.command_id for command in batch],
        [audit.actor_id for audit in audits],
        [audit.actor_role for audit in audits],
        [audit.request_id for audit in audits],
        [audit.correlation_id for audit in audits],
        [audit.causation_id for audit in audits],
        [audit.command for audit in audits],
        [audit.occurred_at for audit in audits],
        *columns([key_of(command) for command in batch], 5),
        list(streams),
        [stream_type for _, stream_type in streams.values()],
        *columns(checks, 5),
        *columns(claims, 5),
        *columns(events, 6),
    ]


def key_of(command: Append) -> tuple[Any, ...]:
    """Return a command's key and answer, all None if it has no key."""
    key = command.key
    if key is None:
        return (None,) * 5
    return key.caller, key.key, key.fingerprint, command.answer, key.expires_at


def columns(rows: Sequence[tuple[Any, ...]], width: int) -> list[list[Any]]:
    """Turn rows into columns, empty ones too."""
    return [list(column) for column in zip(*rows, strict=True)] or [[] for _ in range(width)]


def verdicts(batch: Sequence[Append], rows: Sequence[Row]) -> list[Verdict]:
    """Say of each command of a batch, in order, what the log answered."""
    checks = [change for command in batch for change in command.changes]
    claims = [claim for command in batch for claim in command.claims]
    return [verdict(row, checks, claims) for row in rows]


def verdict(row: Row, checks: Sequence[Any], claims: Sequence[Any]) -> Verdict:
    """Read one row of the answer."""
    word, culprit, found, position, recorded_at, fingerprint, answer = row
    if word == "appended" and position is not None:
        return Appended(position, recorded_at)
    if word == "repeated" and position is not None and fingerprint and answer:
        return Repeated(fingerprint, answer, position)
    if word == "conflict" and culprit is not None and found is not None:
        change = checks[culprit - 1]
        return VersionConflict(change.stream_id, change.expected_version, found)
    if word == "claimed" and culprit is not None:
        claim = claims[culprit - 1]
        return ClaimTaken(claim.scope, claim.value)
    message = f"append_events answered {row}"
    raise AssertionError(message)
