"""Where a Unix socket can be: its path has at most some hundred bytes, however deep the data is."""

import hashlib
import os
import shutil
import stat
from pathlib import Path

from daybook.processes.supervised import User
from daybook.processes.supervisor import ServiceError

_LONGEST = 103  # macOS; Linux has 107


def directory(wanted: Path, name: str, user: User | None = None) -> Path:
    """Make a private folder, owned by the user, in which a socket of that name can be bound.

    It is `wanted` if the path is short enough and has no comma (libpq would see two hosts), else
    one under /tmp named after it.
    """
    fits = len(os.fsencode(wanted / name)) <= _LONGEST and "," not in str(wanted)
    path = wanted if fits else _substitute(wanted)
    try:
        path.mkdir(mode=0o700, parents=True)
        if user:
            os.chown(path, user.uid, user.gid)
    except FileExistsError:
        pass
    found = path.lstat()
    owner = user.uid if user else os.geteuid()
    owned = found.st_uid == owner or (fits and owner == 0)  # root may use a user's data directory
    if not stat.S_ISDIR(found.st_mode) or not owned or found.st_mode & 0o077:
        raise ServiceError(
            f"{path} is not a folder that only user {owner} can enter, so no socket can be kept"
            " there: remove it, or choose another DAYBOOK_DATA_DIR."
        )
    return path


def tidy(wanted: Path) -> None:
    """Remove the folder under /tmp, if there was one, once nothing listens in it."""
    shutil.rmtree(_substitute(wanted), ignore_errors=True)


def _substitute(wanted: Path) -> Path:
    digest = hashlib.sha256(os.fsencode(wanted)).hexdigest()[:16]
    return Path("/tmp") / f"daybook-{digest}"  # noqa: S108 - used only if ours and private
