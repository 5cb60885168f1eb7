"""Where the evidence's tests begin: events in the log, the tree over them, signed heads."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from uuid import uuid4

from psycopg import Connection
from psycopg.rows import TupleRow

from event_store.evidence.findings import Finding
from event_store.evidence.growing import grow
from event_store.evidence.heads import origin_of, sign
from event_store.evidence.notes import Head, Signer, head_of
from event_store.evidence.verification import Asked, verify
from tests.conftest import tampering
from tests.event_store.given import answers_to, appending, noting

SEED = b"a secret of thirty-two bytes ..."
NOW = timedelta(0)
Lent = Connection[TupleRow]


def record(database_url: str, count: int, text: str = "Careful, {}") -> None:
    """Append so many events, one a stream."""

    async def append() -> None:
        commands = [noting(uuid4(), text=text.format(number)) for number in range(count)]
        async with appending(database_url) as appender:
            for first in range(0, count, 1_000):
                await answers_to(appender, commands[first : first + 1_000])

    asyncio.run(append())


def signer_of(connection: Lent) -> Signer:
    """Return the key that signs this log."""
    return Signer(origin_of(connection), SEED)


def attested(connection: Lent) -> Head:
    """Let the tree grow to the log's end and sign it."""
    grow(connection)
    signer = signer_of(connection)
    note = sign(connection, [signer], timedelta(0))
    assert note is not None
    return head_of(note, [signer.public])


def found(
    connection: Lent, *published: Head, first: int = 1, last: int | None = None
) -> Finding | None:
    """Verify and return what is wrong."""
    asked = Asked(
        trusted=[signer_of(connection).public], published=published, first=first, last=last
    )
    return verify(connection, asked, lambda _now, _end: None).finding


@contextmanager
def undone(database_url: str) -> Iterator[Lent]:
    """Lend a superuser's connection that no trigger stops; what is done on it is undone."""
    with tampering(database_url) as connection:
        connection.autocommit = False
        yield connection
        connection.rollback()


Act = Callable[[Lent], object]


def edit_after(connection: Lent, position: int, *, delete: bool = False) -> None:
    """Rewrite what comes after a position, and the tree with it."""
    if delete:
        connection.execute("delete from events where position > %s", [position])
        connection.execute("update log_head set position = %s", [position])
    else:
        connection.execute("update events set actor_id = 'eve' where position > %s", [position])
    connection.execute("delete from log_heads where size > %s", [position])
    connection.execute("update log_tree set size = 0")
    connection.execute("delete from log_tiles")
    grow(connection)
