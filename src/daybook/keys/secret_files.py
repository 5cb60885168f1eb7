"""Files of secrets and of what must not be lost: whole at any moment, and on disk on return."""

import fcntl
import os
import tempfile
from collections.abc import Iterator
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


def replace(path: Path, text: str, mode: int = 0o600) -> None:
    """Put a text in the place of another: whoever reads finds the old or the new one, whole.

    `mode`: who may read it, its owner alone if not said. Whoever calls has the file, or what it is
    one of, `locked`. A process that dies leaves its half beside the file, and the next one writes
    over it.
    """
    half = path.with_name(f".{path.name}.new")
    with open(half, "w", opener=lambda name, flags: os.open(name, flags, mode)) as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    half.replace(path)
    keep_folder(path.parent)


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
