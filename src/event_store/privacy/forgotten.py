"""What is sealed and can never be opened again, told from what is merely sealed."""

from collections.abc import Collection, Iterable
from uuid import UUID

from psycopg import AsyncConnection, Connection
from psycopg.rows import TupleRow

from domain.personal import FORGOTTEN
from event_store.privacy.tokens import TOKEN, subjects_in

GONE = "select subject_id from subject_keys where subject_id = any(%b::uuid[]) and wrapped is null"


async def forgotten_of(
    connection: AsyncConnection[TupleRow], texts: Iterable[str]
) -> frozenset[UUID]:
    """Return whom some texts are about and who are forgotten: their keys are destroyed."""
    subjects = {one for text in texts for one in subjects_in(text)}
    if not subjects:
        return frozenset()
    rows = await (await connection.execute(GONE, [list(subjects)], prepare=True)).fetchall()
    return frozenset(subject for (subject,) in rows)


def forgotten_among(connection: Connection[TupleRow], subjects: Iterable[UUID]) -> frozenset[UUID]:
    """Return who of some people are forgotten; an id of anything else is nobody's."""
    rows = connection.execute(GONE, [list(subjects)]).fetchall()
    return frozenset(subject for (subject,) in rows)


def veiled(gone: Collection[UUID], text: str) -> str:
    """Return a text with `FORGOTTEN` in the place of what is about somebody who is."""
    return TOKEN.sub(lambda found: FORGOTTEN if UUID(hex=found[1]) in gone else found[0], text)
