"""Reading the log: a stream, several streams, a page after a position, where the log ends."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
from psycopg import AsyncConnection, Connection
from psycopg.rows import TupleRow

from event_store.alone import Alone
from event_store.event_types import (
    EVENT_TYPES,
    Event,
    Opened,
    UnknownEvent,
    UnreadableEvent,
    decode,
)
from event_store.privacy.forgotten import forgotten_of, veiled
from event_store.privacy.keyring import NO_KEYS, Keyring, Keys
from event_store.privacy.sealing import opener, subjects_in_rows
from event_store.records import Recorded, Snapshot

STREAM = """
select name, schema_version, data::text, position, version
  from events where stream_id = %b order by version
"""

PAGE = """
select position, stream_id, version, name, schema_version, data::text, occurred_at, recorded_at
  from events
 where position > %b::bigint and position <= %b::bigint and name = any(%s::text[])
 order by position
"""

PAGE_AND_HEAD = """
select h.position, e.position, e.stream_id, e.version, e.name, e.schema_version, e.data::text,
       e.occurred_at, e.recorded_at
  from log_head h
  left join lateral (
        select * from events
         where position > %b::bigint and position <= least(h.position, %b::bigint)
           and name = any(%s::text[]) {} {}
         order by position limit %b::bigint
       ) e on true
 order by e.position
"""
OF_A_SHARE = "and get_byte(uuid_send(stream_id), 15) %% %b::integer = any(%b::integer[])"

# As in the partial index events_ending_sessions: written out, or it would not serve the query.
ENDINGS = (
    "('session.ended', 'user.password_changed', 'user.role_changed', 'user.closed',"
    " 'user.forgotten')"
)

LAST_BEFORE = f"""
select coalesce(max(position), 0) from events
 where name in {ENDINGS} and recorded_at < clock_timestamp() - %b::interval
"""  # noqa: S608 - our own names

REVOCATIONS = f"""
select h.position, e.position, e.name, e.stream_id, e.data ->> 'kept_session'
  from log_head h
  left join events e on e.name in {ENDINGS} and e.position > %b::bigint
   and e.position <= h.position
 order by e.position
"""  # noqa: S608 - our own names

HEAD = "select position, recorded_at from log_head"

SNAPSHOT = """
insert into snapshots as s (stream_id, fingerprint, version, tip, state)
values (%s, %s, %s, %s, %s::jsonb)
    on conflict (stream_id) do update
   set fingerprint = excluded.fingerprint, version = excluded.version, tip = excluded.tip,
       state = excluded.state, made_at = clock_timestamp()
 where s.fingerprint <> excluded.fingerprint or s.version < excluded.version
"""

CLAIMED = "select stream_id from unique_claims where scope = %s and value = %s"

ANSWERED = """
select fingerprint from idempotency_keys where caller = %s and key = %s and expires_at > now()
"""


class Share(NamedTuple):
    """Streams by the last byte of their ids: those that leave one of these when divided."""

    divisor: int
    rests: Sequence[int]


class Unread(msgspec.Struct, frozen=True):
    """An event that this release cannot read, and why: `UnknownEvent` or `UnreadableEvent`."""

    position: int
    stream_id: UUID
    version: int
    name: str
    error: Exception


class Revocation(msgspec.Struct, frozen=True):
    """An event that ends sessions: the stream's own, or all of a user's but `kept_session`."""

    position: int
    name: str
    stream_id: UUID
    kept_session: UUID | None = None


async def write_snapshot(connection: AsyncConnection[TupleRow], snapshot: Snapshot) -> None:
    """Store a snapshot unless there is a newer one of the same schema."""
    await connection.execute(
        SNAPSHOT,
        [
            snapshot.stream_id,
            snapshot.fingerprint,
            snapshot.version,
            snapshot.tip,
            snapshot.state,
        ],
    )


async def find_claim(connection: AsyncConnection[TupleRow], scope: str, value: str) -> UUID | None:
    """Return the stream that holds a value, if one does."""
    cursor = await connection.execute(CLAIMED, [scope, value], prepare=True)
    row = await cursor.fetchone()
    return row[0] if row else None


async def find_fingerprint(
    connection: AsyncConnection[TupleRow], caller: str, key: str
) -> str | None:
    """Return what is kept of the request under an idempotency key, if it has not expired."""
    cursor = await connection.execute(ANSWERED, [caller, key], prepare=True)
    row = await cursor.fetchone()
    return row[0] if row else None


async def head_async(connection: AsyncConnection[TupleRow]) -> int:
    """Return the newest position; all positions up to it can be read (0: the log is empty)."""
    row = await (await connection.execute(HEAD)).fetchone()
    assert row is not None  # noqa: S101 - the migration makes the one row
    return int(row[0])


async def last_before(connection: AsyncConnection[TupleRow], age: timedelta) -> int:
    """Return the position of the last event that ended sessions longer ago than `age`, or 0."""
    row = await (await connection.execute(LAST_BEFORE, [age])).fetchone()
    return int(row[0]) if row else 0


async def revocations_after(
    connection: AsyncConnection[TupleRow], after: int
) -> tuple[int, list[Revocation]]:
    """Return the newest position and what has ended sessions since `after`, in order."""
    rows = await (await connection.execute(REVOCATIONS, [after], prepare=True)).fetchall()
    news = [
        Revocation(position, name, stream_id, UUID(kept) if kept else None)
        for _, position, name, stream_id, kept in rows
        if position is not None
    ]
    return int(rows[0][0]), news


def stream(connection: Connection[TupleRow], stream_id: UUID, keyring: Keyring) -> list[Event]:
    """Return the events of one stream in order."""
    rows = connection.execute(STREAM, [stream_id], prepare=True).fetchall()
    keyring.notice((row[0], stream_id) for row in rows)
    keys = keyring.fetch(connection, subjects_in_rows(row[:3] for row in rows))
    return [
        decode(name, schema_version, data, position, opener(keys, stream_id, version))
        for name, schema_version, data, position, version in rows
    ]


def page(
    connection: Connection[TupleRow],
    after: int,
    upto: int,
    names: Iterable[str],
    keyring: Keyring | None = NO_KEYS,
) -> list[Recorded]:
    """Return the events with some names at positions in (after, upto], in order.

    What is personal is as it was meant; without a keyring (None) it stays encrypted.
    """
    cursor = connection.execute(PAGE, [after, upto, list(names)], prepare=True)
    return all_recorded(connection, cursor.fetchall(), keyring)


def all_recorded(
    connection: Connection[TupleRow], rows: Sequence[TupleRow], keyring: Keyring | None
) -> list[Recorded]:
    """Make the events of the rows of a page, with what is personal in them as it was meant."""
    if keyring is None:
        return [recorded(row) for row in rows]
    keys = keys_for(connection, rows, keyring)
    return [recorded(row, keys) for row in rows]


def keys_for(connection: Connection[TupleRow], rows: Sequence[TupleRow], keyring: Keyring) -> Keys:
    """Return the keys of all whom the events of a page are about."""
    keyring.notice((row[3], row[1]) for row in rows)
    return keyring.fetch(connection, subjects_in_rows(row[3:6] for row in rows))


def page_from(  # noqa: PLR0913, PLR0917 - which page, and who may read it
    connection: Connection[TupleRow],
    after: int,
    upto: int,
    names: Iterable[str],
    most: int,
    keyring: Keyring | None,
    share: Share | None = None,
    without: Alone | None = None,
) -> tuple[int, list[Recorded | Unread]]:
    """Return at most so many events with some names after a position, and how far they reach.

    That is as far as `upto`, the log's end, or the last of `most` events. What cannot be read is
    there as `Unread`. With a `share` streams that are not of it are left out; `without` leaves out
    as well. Without a keyring (None) what is personal stays encrypted.
    """
    query = PAGE_AND_HEAD.format(
        OF_A_SHARE if share else "", f"and not {without.condition}" if without else ""
    )
    chosen = [share.divisor, list(share.rests)] if share else []
    chosen += [without.upto] if without else []
    values = [after, upto, list(names), *chosen, most]
    with connection.cursor(binary=True) as cursor:  # UUIDs and times cost a third of it as text
        rows = cursor.execute(query.encode(), values, prepare=True).fetchall()
    stored = [row[1:] for row in rows if row[1] is not None]
    found = all_or_unread(connection, stored, keyring)
    if len(found) == most:
        return found[-1].position, found
    return max(after, min(rows[0][0], upto)), found


def all_or_unread(
    connection: Connection[TupleRow], rows: Sequence[TupleRow], keyring: Keyring | None
) -> list[Recorded | Unread]:
    """Make the events of the rows of a page, or say of each why there is none."""
    keys = None if keyring is None else keys_for(connection, rows, keyring)
    return [recorded_or_unread(row, keys) for row in rows]


def recorded_or_unread(row: Sequence[Any], keys: Keys | None) -> Recorded | Unread:
    """Make the event of a row of a page, or say why there is none."""
    try:
        return recorded(row, keys)
    except (UnknownEvent, UnreadableEvent) as error:
        return Unread(row[0], row[1], row[2], row[3], error)


def recorded(
    row: Sequence[Any], keys: Keys | None = None, *, veil: Callable[[str], str] | None = None
) -> Recorded:
    """Make the event of a row of a page; without keys what is personal stays encrypted.

    `veil` is what a personal text is then shown as.
    """
    position, stream_id, version, name, schema_version, data, occurred_at, recorded_at = row
    opened: Opened | None = None
    if (name, schema_version) in EVENT_TYPES.sealed:
        if keys is not None:
            opened = opener(keys, stream_id, version)
        elif veil is not None:
            opened = lambda _field, text: veil(text)  # noqa: E731 - of no use by a name
    event = decode(name, schema_version, data, position, opened)
    return Recorded(position, stream_id, version, event, occurred_at, recorded_at)


def head(connection: Connection[TupleRow]) -> int:
    """Return the newest position; all positions up to it can be read (0: the log is empty)."""
    return end_of(connection)[0]


def end_of(connection: Connection[TupleRow]) -> tuple[int, datetime]:
    """Return the newest position and when it was recorded."""
    row = connection.execute(HEAD).fetchone()
    assert row is not None  # noqa: S101 - the migration makes the one row
    return row[0], row[1]


STREAMS_UPTO = """
select position, stream_id, version, name, schema_version, data::text, occurred_at, recorded_at
  from events
 where stream_id = any(%s::uuid[]) and position <= %s and name = any(%s::text[])
 order by position limit %s
"""

AS_OF = """
select position, stream_id, version, name, schema_version, data::text, occurred_at, recorded_at
  from events where stream_id = %s and {} <= %s order by version
"""


async def streams_upto(
    connection: AsyncConnection[TupleRow],
    streams: Sequence[UUID],
    names: Sequence[str],
    upto: int,
    most: int,
) -> list[Recorded | Unread]:
    """Return at most so many events with some names of some streams up to a position, in order.

    What is personal stays encrypted.
    """
    cursor = await connection.execute(STREAMS_UPTO, [list(streams), upto, list(names), most])
    return [recorded_or_unread(row, None) for row in await cursor.fetchall()]


async def stream_as_of(
    connection: AsyncConnection[TupleRow], stream_id: UUID, end: int | datetime, *, happened: bool
) -> list[Recorded]:
    """Return the events of a stream up to a position, or up to a moment that they were recorded by.

    `happened`: that they had happened by. What is personal stays encrypted, and is `FORGOTTEN`
    where it can never be opened again.
    """
    moment = "occurred_at" if happened else "recorded_at"
    query = AS_OF.format("position" if isinstance(end, int) else moment)
    cursor = await connection.execute(query.encode(), [stream_id, end], prepare=True)
    rows = await cursor.fetchall()
    gone = await forgotten_of(connection, [row[5] for row in rows])
    return [recorded(row, veil=partial(veiled, gone)) for row in rows]
