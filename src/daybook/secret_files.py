"""Files of secrets and of what must not be lost: whole at any moment, and on disk on return."""

import fcntl
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path


def keep_first(path: Path, text: str) -> None:
    """Write a private file unless another process has just done so: link(2) never replaces."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent)  # made with mode 0600
    try:
        with os.fdopen(handle, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        path.hardlink_to(name)
        keep_folder(path.parent)
    except FileExistsError:
        pass
    finally:
        Path(name).unlink()


def replace_private(path: Path, lines: Iterable[str]) -> None:
    """Put secrets, one a line, in the place of others: whoever reads finds the old or the new ones.

    Whoever calls has the file `locked`. A process that dies leaves its half beside the file, and
    the next one writes over it.
    """
    half = path.with_name(f".{path.name}.new")
    with open(half, "w", opener=private) as file:
        file.write("".join(f"{line}\n" for line in lines))
        file.flush()
        os.fsync(file.fileno())
    half.replace(path)
    keep_folder(path.parent)


def private(name: str, flags: int) -> int:
    """Open a file that is made for its owner alone."""
    return os.open(name, flags, 0o600)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Let one process at a time change a file."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with Path(f"{path}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def keep_folder(folder: Path) -> None:
    """Make what was put into a folder outlive a power failure."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
