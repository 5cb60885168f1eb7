"""Commands given on this machine rather than over HTTP: by the operator, on its own store."""

import asyncio
import getpass
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from commands.identifiers import new_id
from commands.passwords import Passwords
from commands.work import Asker, Tools
from daybook.services import Services
from daybook.wakeups.sender import Herald
from event_store.connections import connect
from event_store.history import accesses
from event_store.history.accesses import Access, Kind
from event_store.store import EventStore
from projections.switched_on import PROJECTIONS


def operator() -> Asker:
    """Return who asks when a command is typed on this machine."""
    request_id = str(new_id())
    return Asker(
        actor_id=f"operator:{user_name()}",
        role="system",
        request_id=request_id,
        correlation_id=request_id,
    )


def access(action: str, kind: Kind = "question", /, **words: object) -> Access:
    """Return what is recorded of what is typed on this machine: by whom, where, and the words."""
    who = operator()
    given = {name: value for name, value in words.items() if value}
    asked = {"host": socket.gethostname(), **given}
    return Access(who.actor_id, who.role, who.request_id, action, asked, kind)


def note_operation(database_url: str, action: str, rows: int, **words: object) -> None:
    """Record what the operator of this machine has done, where no event of the log says it."""
    with connect(database_url, name="daybook operator") as connection:
        accesses.note(connection, access(action, "operation", **words), rows)


def user_name() -> str:
    """Return the name of the user who runs this, or the number of one without a name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())


@asynccontextmanager
async def operator_tools(found: Services) -> AsyncIterator[Tools]:
    """Open what commands work with; the workers are told of what is appended."""
    herald = Herald(found.wakeups_url, PROJECTIONS)
    store = EventStore(found.database_url, keys=found.keys, on_append=herald.tell)
    passwords = Passwords()
    herald.start()
    await store.open()
    try:
        yield Tools(store, passwords, projections=PROJECTIONS)
    finally:
        await store.close()
        await asyncio.to_thread(herald.close)
        passwords.close()
