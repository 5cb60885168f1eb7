"""Who is forgotten, in a file beside the database: a backup that is restored does not know it.

A line for each: the person's id and the time. Lines are only added; each process may add, and a
line that is there twice, or cut short by a crash, does no harm.
"""

import asyncio
import fcntl
import os
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import structlog
from psycopg import Connection
from psycopg.rows import TupleRow

from daybook.keys.secret_files import keep_folder
from daybook.settings import Settings

log = structlog.get_logger(__name__)

LINE = re.compile(r"([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}) \S+")

FORGOTTEN = """
select subject_id, forgotten_at from subject_keys
 where forgotten_at is not null order by forgotten_at, subject_id
"""


def file_of(settings: Settings) -> Path:
    """Return where the file is."""
    return settings.forgotten_file or settings.data_dir.absolute() / "privacy" / "forgotten"


def read(path: Path) -> set[UUID]:
    """Return who is in the file; nobody if there is none."""
    if not path.exists():
        return set()
    lines = path.read_text(encoding="ascii", errors="replace").splitlines()
    return {UUID(match[1]) for line in lines if (match := LINE.fullmatch(line))}


def write(path: Path, forgotten: Iterable[tuple[UUID, datetime]]) -> int:
    """Add those who are not in the file; return how many. They are on disk on return."""
    people = dict(forgotten)
    if not people or people.keys() <= read(path):
        return 0
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with path.open("a+", encoding="ascii") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        new = people.keys() - read(path)
        # A line of its own for each, also after one that was cut short.
        file.write("".join(f"\n{one} {people[one]:%Y-%m-%dT%H:%M:%SZ}\n" for one in sorted(new)))
        file.flush()
        os.fsync(file.fileno())
    keep_folder(path.parent)
    return len(new)


def note(connection: Connection[TupleRow], path: Path) -> int:
    """Add to the file whom the database knows to be forgotten; return how many are new."""
    return write(path, connection.execute(FORGOTTEN, prepare=True).fetchall())


class Tombstones:
    """The file as the API adds to it, before anybody is told that they are forgotten."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def add(self, user_id: UUID) -> None:
        """Add somebody; where the file cannot be written, the workers' is what there is."""
        try:
            await asyncio.to_thread(write, self._path, [(user_id, datetime.now(UTC))])
        except OSError as error:
            log.error("forgotten_not_noted", file=str(self._path), error=str(error))  # noqa: TRY400 - the reason is all there is to say
