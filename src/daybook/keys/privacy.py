"""Personal data before a start: is the master key right, has nobody who is forgotten come back."""

import asyncio
from collections.abc import Iterable
from pathlib import Path
from uuid import UUID

import structlog
from psycopg import Connection
from psycopg.rows import TupleRow

from commands.execution import execute
from commands.identifiers import new_id
from commands.users.forget_user import ForgetUser, forget_user
from commands.work import EMAIL
from daybook.command_line.operator_commands import operator, operator_tools
from daybook.keys import tombstones
from daybook.services import ServiceError, Services
from daybook.settings import Settings
from domain.refusal import NotFound
from event_store.connections import connect
from event_store.privacy.keyring import LOOKUP
from event_store.privacy.master_keys import WrongMasterKey
from event_store.records import Append, Audit, Claim, StreamChange

log = structlog.get_logger(__name__)

KNOWN = """
select subject_id from subject_keys where subject_id = any(%s) and forgotten_at is not null
"""
BURY = """
insert into subject_keys (subject_id, forgotten_at) values (%s, clock_timestamp())
    on conflict (subject_id) do update
   set master = null, wrapped = null, forgotten_at = excluded.forgotten_at
"""
PLAIN_CLAIMS = """
select value, stream_id from unique_claims where scope = %s and value not like 'hmac:%%'
"""


def prepare(settings: Settings, found: Services) -> None:
    """Make sure before a start that the master key is right and that nobody has come back.

    Whoever is in the file of the forgotten and has a key all the same, as after a backup was
    restored, is forgotten again. Raises `ServiceError`.
    """
    path = tombstones.file_of(settings)
    with connect(found.database_url, name="daybook start") as connection:
        check_master_key(connection, found)
        plain = connection.execute(PLAIN_CLAIMS, [EMAIL]).fetchall()
        returned = those_returned(connection, path)
        if plain:
            asyncio.run(hash_claims(found, plain))
        if returned:
            asyncio.run(forget_again(found, returned))
            for user_id in those_returned(connection, path):
                connection.execute(BURY, [user_id])  # the key at least goes
        tombstones.note(connection, path)


def check_master_key(connection: Connection[TupleRow], found: Services) -> None:
    """Raise `ServiceError` unless the keys of this database can be opened here."""
    try:
        found.keys.fetch(connection, [LOOKUP])
    except WrongMasterKey as error:
        raise ServiceError(
            f"{error} None of the master keys given here is that one: correct DAYBOOK_MASTER_KEY or"
            " its file. Without it nothing personal can be read."
        ) from error


def those_returned(connection: Connection[TupleRow], path: Path) -> set[UUID]:
    """Return who is in the file, and not forgotten in the database."""
    buried = tombstones.read(path)
    if not buried:
        return set()
    return buried - {row[0] for row in connection.execute(KNOWN, [list(buried)]).fetchall()}


async def forget_again(found: Services, people: Iterable[UUID]) -> None:
    """Forget people as their own wish had it before the log was set back."""
    async with operator_tools(found) as tools:
        for user_id in people:
            try:
                await execute(tools, operator(), forget_user, ForgetUser(user_id=user_id))
            except Exception as error:  # noqa: BLE001 - their keys are destroyed all the same
                if not isinstance(error, NotFound):
                    log.warning("not_forgotten_again", user_id=str(user_id), error=str(error))
            else:
                log.warning("forgotten_again", user_id=str(user_id))


async def hash_claims(found: Services, plain: Iterable[tuple[str, UUID]]) -> None:
    """Let addresses that were claimed plainly, before there were keys, be claimed as hashes."""
    async with operator_tools(found) as tools:
        asker = operator()
        audit = Audit(
            actor_id=asker.actor_id,
            actor_role=asker.role,
            request_id=asker.request_id,
            correlation_id=asker.correlation_id,
            command="HashClaim",
        )
        for value, stream_id in plain:
            version = len(await tools.store.load(stream_id))
            claims = (
                Claim(EMAIL, value, stream_id, kept=False),
                Claim(EMAIL, value, stream_id, personal=True),
            )
            change = StreamChange(stream_id, "user", version, ())
            await tools.store.append(Append(new_id(), audit, (change,), claims))
