"""What is held about a person beside the views: account, sessions, sign-ins, remembered answers."""

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from event_store.connections import Pooled, borrowed, pool
from event_store.event_types import decode
from event_store.history.questions import Question
from event_store.history.search import find
from event_store.privacy.keyring import Keyring
from event_store.privacy.sealing import opener, subjects_in_rows

MOST_SESSIONS = 1_000
SECRETS = ("password_hash", "refresh_digest")

HISTORY = """
select position, version, name, schema_version, data::text, occurred_at, actor_role
  from events where stream_id = %b order by version
"""
SIGN_INS = """
select at, kind, address, agent from sign_ins where user_id = %b order by number
"""
ANSWERS = """
select key, expires_at from idempotency_keys where caller = %b order by expires_at, key
"""


class Happened(msgspec.Struct, frozen=True, rename="camel"):
    """Something that happened to the account, with all that was said of the person."""

    event: str
    position: int
    version: int
    at: datetime
    by: str
    data: dict[str, Any]


class SignIn(msgspec.Struct, frozen=True):
    """A sign-in, or an attempt at one."""

    at: datetime
    kind: str
    address: str
    agent: str


class RememberedAnswer(msgspec.Struct, frozen=True, rename="camel"):
    """That an answer is remembered under a key of the person's; it holds ids alone."""

    key: str
    expires_at: datetime


class Held(msgspec.Struct, frozen=True):
    """All of it."""

    history: list[Happened]
    sessions: list[Happened]
    more_sessions: bool
    sign_ins: list[SignIn]
    answers: list[RememberedAnswer]


class PersonalData(Pooled):
    """Reads what is held; everything raises `StoreUnavailable` within 5 seconds."""

    def __init__(self, database_url: str, keys: Keyring) -> None:
        super().__init__(pool(database_url, name="daybook personal data", size=1))
        self._keys = keys

    async def about(self, user_id: UUID) -> Held:
        """Return what is held about a person; hashes of passwords and tokens are left out.

        Of what their sessions did the newest thousand events are there.
        """
        asked = Question(subject=user_id, facts={"stream_type": "session"})
        async with borrowed(self._pool) as connection:
            rows = await (await connection.execute(HISTORY, [user_id])).fetchall()
            keys = await self._keys.fetch_async(
                connection, subjects_in_rows(row[2:5] for row in rows)
            )
            sign_ins = await (await connection.execute(SIGN_INS, [user_id])).fetchall()
            answers = await (await connection.execute(ANSWERS, [str(user_id)])).fetchall()
            sessions = await find(connection, asked, MOST_SESSIONS + 1)
        history = []
        for position, version, name, schema_version, data, at, by in rows:
            opened = opener(keys, user_id, version)
            event = msgspec.to_builtins(decode(name, schema_version, data, position, opened))
            history.append(Happened(name, position, version, at, by, told(event)))
        return Held(
            history,
            [
                Happened(
                    one.name,
                    one.position,
                    one.version,
                    one.occurred_at,
                    one.actor_role,
                    told(msgspec.json.decode(one.data)),
                )
                for one in sessions[:MOST_SESSIONS]
            ],
            len(sessions) > MOST_SESSIONS,
            [SignIn(*row) for row in sign_ins],
            [RememberedAnswer(*row) for row in answers],
        )


def told(event: dict[str, Any]) -> dict[str, Any]:
    """Return what is told of an event: all but secrets."""
    return {name: value for name, value in event.items() if name not in SECRETS}
