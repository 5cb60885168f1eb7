"""Where a Unix socket can be: its path has at most some hundred bytes, however deep the data is."""

import hashlib
import os
import stat
from pathlib import Path

from daybook.supervisor import ServiceError, User

_LONGEST = 103  # macOS; Linux has 107


def directory(wanted: Path, name: str, user: User | None = None) -> Path:
    """A private folder, owned by the user, in which a socket of that name can be bound.

    It is `wanted` if the path is short enough, else one under /tmp named after it.
    """
    path = wanted
    if len(os.fsencode(wanted / name)) > _LONGEST:
        digest = hashlib.sha256(os.fsencode(wanted)).hexdigest()[:16]
        path = Path("/tmp") / f"daybook-{digest}"  # noqa: S108 - checked below: ours and private
    try:
        path.mkdir(mode=0o700, parents=True)
        if user:
            os.chown(path, user.uid, user.gid)
    except FileExistsError:
        pass
    found = path.lstat()
    owner = user.uid if user else os.geteuid()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != owner or found.st_mode & 0o077:
        raise ServiceError(
            f"{path} is not a folder that only user {owner} can enter, so no socket can be kept"
            " there: remove it, or choose another DAYBOOK_DATA_DIR."
        )
    return path
