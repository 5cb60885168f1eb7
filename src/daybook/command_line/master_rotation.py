"""The master key from the operator's side: wrapping all keys by a new one, and how they stand."""

import time
from pathlib import Path

import msgspec
from psycopg import Connection
from psycopg.rows import TupleRow

from daybook.command_line.operator_commands import note_operation
from daybook.keys.master_key import add_secret, keep_newest, key_file
from daybook.keys.privacy import check_master_key
from daybook.keys.secret_files import locked
from daybook.migrate import migrate
from daybook.services import Services, services
from daybook.settings import Settings
from event_store.connections import connect
from event_store.event_types import EVENT_TYPES
from event_store.privacy.keyring import LOOKUP
from event_store.privacy.master_keys import Wrapped

BATCH = 500
# Whoever wraps a key reads the secrets then, and has stored it, or given up, after five seconds.
SETTLE_SECONDS = 6.0
OLD_KEYS = """
select subject_id, master, wrapped from subject_keys
 where wrapped is not null and master <> %s order by subject_id limit %s for update
"""
REWRAP = """
update subject_keys k set master = n.master, wrapped = n.wrapped
  from unnest(%b::uuid[], %b::text[], %b::bytea[]) as n (subject_id, master, wrapped)
 where k.subject_id = n.subject_id and k.wrapped is not null
"""
STATUS = """
select coalesce(master, ''), count(*) from subject_keys
 where subject_id <> %s group by 1 order by 1
"""


# It looks at each event: for operators, and seldom.
PLAIN = """
select count(*) from events
 where (name, schema_version) in (select * from unnest(%s::text[], %s::int[]))
"""


class PrivacyStatus(msgspec.Struct, frozen=True, kw_only=True):
    """How many people have a key, under which master keys, and how many are forgotten.

    `plain_events` were stored before personal fields were encrypted: they cannot be forgotten.
    """

    newest_master_key: str
    keys: dict[str, int]
    forgotten: int
    plain_events: int


def rewrap(connection: Connection[TupleRow], found: Services) -> int:
    """Wrap all keys by the newest master key; return how many were not.

    Killed anywhere, what is done is done; the next time goes on. Raises `WrongMasterKey`.
    """
    master, done = found.keys.master, 0
    master.refresh()
    while True:
        with connection.transaction():
            rows = connection.execute(OLD_KEYS, [master.newest, BATCH]).fetchall()
            if not rows:
                return done
            wrapped = master.wrap(master.unwrap([Wrapped(*row) for row in rows]))
            columns = [list(column) for column in zip(*wrapped, strict=True)]
            done += connection.execute(REWRAP, columns).rowcount


def rotate(settings: Settings) -> tuple[int, str]:
    """Replace the master key; return how many keys were wrapped anew and the new one's name.

    Where Daybook keeps the master key itself it makes the new one, and drops the old one once
    nothing is wrapped by it.
    """
    kept_here = settings.master_key is None and settings.master_key_file is None
    with services(settings) as found:
        migrate(found.database_url)
        return rotate_kept(key_file(settings), found) if kept_here else rotate_given(found)


def rotate_given(found: Services) -> tuple[int, str]:
    """Wrap all keys by the newest master key, and record it; return how many, and its name."""
    with connect(found.database_url, name="daybook rotation", statement_ms=60_000) as one:
        check_master_key(one, found)
        done = rewrap(one, found)
    newest = found.keys.master.newest
    note_operation(found.database_url, "master_key_rotated", done, key=newest)
    return done, newest


def rotate_kept(path: Path, found: Services) -> tuple[int, str]:
    """Do so with a master key that is made for it. One at a time: or one lost the other's secret.

    The former one goes only when no process can be about to store what it has wrapped by it. Killed
    anywhere, all that was wrapped can be opened, and the next rotation goes on.
    """
    with locked(path):
        with connect(found.database_url, name="daybook rotation") as one:
            check_master_key(one, found)
        add_secret(path)
        time.sleep(SETTLE_SECONDS)
        answer = rotate_given(found)
        keep_newest(path)
    return answer


def status(settings: Settings) -> PrivacyStatus:
    """Return how the keys stand."""
    with services(settings) as found:
        migrate(found.database_url)
        with connect(found.database_url, name="daybook privacy", statement_ms=60_000) as one:
            rows = one.execute(STATUS, [LOOKUP]).fetchall()
            plain = [list(column) for column in zip(*EVENT_TYPES.plain, strict=True)]
            [(plain_events,)] = one.execute(PLAIN, plain).fetchall()
        counts: dict[str, int] = dict(rows)
        return PrivacyStatus(
            newest_master_key=found.keys.master.newest,
            forgotten=counts.pop("", 0),
            keys=counts,
            plain_events=plain_events,
        )
