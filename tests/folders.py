"""Where services that tests start keep their data: in memory, if the machine has enough."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from daybook.embedded.postgres_place import remove

MEMORY = Path("/dev/shm")  # noqa: S108 - folders in it have names of their own
ROOM = 8 << 30


def in_memory() -> Path | None:
    """Return where files are kept in memory, None if there is no room.

    To make and drop a database is mostly to make and drop a thousand files: in memory it takes a
    tenth of the time. What is killed there loses no more than on a disk.
    """
    try:
        return MEMORY if shutil.disk_usage(MEMORY).free >= ROOM else None
    except OSError:
        return None


@contextmanager
def folder_for_services() -> Iterator[Path]:
    """Make a folder that every user may pass through, and remove what was kept there."""
    with tempfile.TemporaryDirectory(prefix="daybook-story-", dir=in_memory()) as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder
        remove(folder / "var")
