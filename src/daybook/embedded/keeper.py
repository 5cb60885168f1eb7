"""Who keeps the services of a data directory, and who uses them: two locks and a notice.

Whoever keeps the embedded ones holds `run/services.lock` and says in `run/services.json` where they
are. Others attach: they share `run/attached.lock`, for which a keeper waits before it ends them.
"""

import contextlib
import fcntl
import os
import time
from pathlib import Path

import msgspec

from daybook.processes.supervisor import ServiceError, say
from daybook.settings import Settings

_WAIT_SECONDS = 60.0
_ATTACHED_SECONDS = 600.0
_POLL_SECONDS = 0.05


class Notice(msgspec.Struct):
    """What the keeper tells the others; None for what it uses from an address."""

    pid: int
    command: str
    database_url: str | None
    redis_url: str | None


def run_dir_of(settings: Settings) -> Path:
    """Return the folder of locks and notice, made if need be."""
    run_dir = settings.data_dir.absolute() / "run"
    try:
        run_dir.parent.mkdir(parents=True, exist_ok=True)
        run_dir.mkdir(mode=0o700, exist_ok=True)
        (run_dir / "services.lock").open("a").close()
    except OSError as error:
        raise ServiceError(forbidden(run_dir.parent, error)) from error
    return run_dir


def write(path: Path, notice: Notice) -> None:
    """Say where the services are."""
    half = path.with_suffix(".new")
    half.write_bytes(msgspec.json.encode(notice))
    half.replace(path)


def _read(run_dir: Path) -> Notice | None:
    """Read what the keeper says, if it is alive."""
    try:
        content = (run_dir / "services.json").read_bytes()
        notice = msgspec.json.decode(content, type=Notice)
        os.kill(notice.pid, 0)
    except (FileNotFoundError, msgspec.DecodeError, ProcessLookupError):
        return None
    except PermissionError:
        pass
    return notice


def _open_lock(path: Path, stack: contextlib.ExitStack) -> int:
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except PermissionError as error:
        raise ServiceError(forbidden(path.parent.parent, error)) from error
    stack.callback(os.close, handle)
    return handle


def _flock(handle: int, kind: int) -> bool:
    try:
        fcntl.flock(handle, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def attach_or_lock(run_dir: Path, stack: contextlib.ExitStack) -> Notice | int:
    """Get the notice of a keeper that will wait for us, or the lock that makes us the keeper."""
    lock = _open_lock(run_dir / "services.lock", stack)
    attached = _open_lock(run_dir / "attached.lock", stack)
    deadline = time.monotonic() + _WAIT_SECONDS
    while time.monotonic() < deadline:
        if _flock(lock, fcntl.LOCK_EX):
            return lock
        if _flock(attached, fcntl.LOCK_SH):
            if notice := _read(run_dir):
                return notice
            fcntl.flock(attached, fcntl.LOCK_UN)
        time.sleep(_POLL_SECONDS)
    raise ServiceError(_occupied(run_dir))


def lock_alone(run_dir: Path, stack: contextlib.ExitStack) -> int:
    """Get the lock that makes us the keeper; wait for commands, not for another `daybook up`."""
    lock = _open_lock(run_dir / "services.lock", stack)
    deadline = time.monotonic() + _WAIT_SECONDS
    told = False
    while not _flock(lock, fcntl.LOCK_EX):
        notice = _read(run_dir)
        if (notice and notice.command == "daybook up") or time.monotonic() > deadline:
            raise ServiceError(_occupied(run_dir))
        if not told:
            say(f"waiting for {_who(notice)} to release {run_dir.parent}.")
            told = True
        time.sleep(_POLL_SECONDS)
    return lock


def _who(notice: Notice | None) -> str:
    return f"`{notice.command}` (pid {notice.pid})" if notice else "a Daybook that starts or stops"


def _occupied(run_dir: Path) -> str:
    return (
        f"The data directory {run_dir.parent} is in use by {_who(_read(run_dir))}: stop that first,"
        " or choose another DAYBOOK_DATA_DIR."
    )


def wait_for_attached(run_dir: Path) -> None:
    """Let commands that use our services finish; none can attach once this has returned."""
    with contextlib.ExitStack() as stack:
        attached = _open_lock(run_dir / "attached.lock", stack)
        deadline = time.monotonic() + _ATTACHED_SECONDS
        told = False
        while not _flock(attached, fcntl.LOCK_EX) and time.monotonic() < deadline:
            if not told:
                say("waiting for another command that uses the services started here.")
                told = True
            time.sleep(_POLL_SECONDS)
        (run_dir / "services.json").unlink(missing_ok=True)


def forbidden(data_dir: Path, error: OSError) -> str:
    """Say that a folder may not be used, and what to do."""
    return (
        f"{error.filename or data_dir} cannot be used ({error.strerror}): start Daybook as the user"
        f" that {data_dir} belongs to, or choose another DAYBOOK_DATA_DIR."
    )
