"""The services a command works with: Postgres and Valkey, given by address or kept by Daybook.

Whoever keeps the embedded ones holds `run/services.lock` and says in `run/services.json` where they
are. Others attach: they share `run/attached.lock`, for which a keeper waits before it ends them.
"""

import contextlib
import errno
import fcntl
import os
import socket
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import redis

from daybook import embedded_postgres, embedded_valkey, sockets, wakeups_over_rabbitmq
from daybook.master_key import keyring
from daybook.settings import Settings
from daybook.supervisor import ServiceError, StartError, Supervisor
from event_store.privacy.keyring import NO_KEYS, Keyring

__all__ = [
    "ServiceError",
    "Services",
    "StartError",
    "check_port",
    "kept_services",
    "services",
]

_CONNECT_SECONDS = 5
_OLDEST_POSTGRES = 15
_WAIT_SECONDS = 60.0
_ATTACHED_SECONDS = 600.0
_POLL_SECONDS = 0.05


@dataclass(frozen=True)
class Services:
    """Where the services are, in the form that psycopg and redis-py take, and the keys in use."""

    database_url: str
    redis_url: str
    keys: Keyring = NO_KEYS
    broker_url: str | None = None

    @property
    def wakeups_url(self) -> str:
        """What carries wake-ups: RabbitMQ if there is one, else Redis."""
        return self.broker_url or self.redis_url


class _Notice(msgspec.Struct):
    """What the keeper tells the others; None for what it uses from an address."""

    pid: int
    command: str
    database_url: str | None
    redis_url: str | None


@contextlib.contextmanager
def services(settings: Settings) -> Iterator[Services]:
    """Get the services for one command: those given, those another Daybook keeps, or its own.

    Raises ServiceError. Redis that cannot be reached is only warned of: the log needs none.
    """
    if settings.database_url and settings.redis_url:
        _check_given(settings)
        yield Services(
            settings.database_url, settings.redis_url, keyring(settings), settings.broker_url
        )
        return
    run_dir = _run_dir(settings)
    with contextlib.ExitStack() as stack:
        found = _attach_or_lock(run_dir, stack)
        if isinstance(found, _Notice):
            yield _attached(settings, found)
            return
        _, kept = stack.enter_context(_keep(settings, found, _own_command()))
        stack.callback(_wait_for_attached, run_dir)
        yield kept


@contextlib.contextmanager
def kept_services(settings: Settings) -> Iterator[tuple[Supervisor, Services]]:
    """Keep the services for `daybook up`; the supervisor is to keep the rest as well.

    Raises ServiceError when another Daybook has the data directory.
    """
    with contextlib.ExitStack() as stack:
        lock = _lock_alone(_run_dir(settings), stack)
        yield stack.enter_context(_keep(settings, lock, "daybook up"))


def check_port(host: str, port: int) -> None:
    """Raise ServiceError unless a server can listen there."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        raise ServiceError(_port_refusal(host, port, error)) from error


def _port_refusal(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        other = port + 1 if port < 65535 else port - 1  # noqa: PLR2004 - the highest port
        return (
            f"Port {port} on {host} is taken by another program: stop it, or choose another port"
            f" (DAYBOOK_PORT={other})."
        )
    if error.errno == errno.EACCES:
        return f"Port {port} is reserved for root: choose one above 1023 (DAYBOOK_PORT=8000)."
    return (
        f"{host} is no address of this machine: set DAYBOOK_HOST (127.0.0.1, or 0.0.0.0 for all)."
    )


def _run_dir(settings: Settings) -> Path:
    run_dir = settings.data_dir.absolute() / "run"
    try:
        run_dir.parent.mkdir(parents=True, exist_ok=True)
        run_dir.mkdir(mode=0o700, exist_ok=True)
        (run_dir / "services.lock").open("a").close()
    except OSError as error:
        raise ServiceError(_forbidden(run_dir.parent, error)) from error
    return run_dir


@contextlib.contextmanager
def _keep(settings: Settings, lock: int, command: str) -> Iterator[tuple[Supervisor, Services]]:
    data_dir = settings.data_dir.absolute()
    _check_given(settings)
    notice_file = data_dir / "run" / "services.json"
    with contextlib.ExitStack() as stack:
        stack.callback(_tidy, data_dir)
        try:
            supervisor = stack.enter_context(Supervisor(data_dir / "log", lock))
            database = (
                None if settings.database_url else embedded_postgres.start(supervisor, data_dir)
            )
            cache = None if settings.redis_url else embedded_valkey.start(supervisor, data_dir)
        except PermissionError as error:
            raise ServiceError(_forbidden(data_dir, error)) from error
        supervisor.publish(notice_file)
        _write(notice_file, _Notice(os.getpid(), command, database, cache))
        yield supervisor, _chosen(settings, database, cache)


def _tidy(data_dir: Path) -> None:
    for wanted in ((data_dir / "postgres").resolve() / "run", data_dir / "run"):
        sockets.tidy(wanted)


def _forbidden(data_dir: Path, error: OSError) -> str:
    return (
        f"{error.filename or data_dir} cannot be used ({error.strerror}): start Daybook as the user"
        f" that {data_dir} belongs to, or choose another DAYBOOK_DATA_DIR."
    )


def _chosen(settings: Settings, database: str | None, cache: str | None) -> Services:
    database_url, redis_url = settings.database_url or database, settings.redis_url or cache
    if database_url is None or redis_url is None:
        raise ServiceError(
            "The running Daybook uses a Postgres or Redis of its settings: give this command the"
            " same DAYBOOK_DATABASE_URL and DAYBOOK_REDIS_URL."
        )
    return Services(database_url, redis_url, keyring(settings), settings.broker_url)


def _attached(settings: Settings, notice: _Notice) -> Services:
    _check_given(settings)
    return _chosen(settings, notice.database_url, notice.redis_url)


def _write(path: Path, notice: _Notice) -> None:
    half = path.with_suffix(".new")
    half.write_bytes(msgspec.json.encode(notice))
    half.replace(path)


def _read(run_dir: Path) -> _Notice | None:
    """Read what the keeper says, if it is alive."""
    try:
        content = (run_dir / "services.json").read_bytes()
        notice = msgspec.json.decode(content, type=_Notice)
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
        raise ServiceError(_forbidden(path.parent.parent, error)) from error
    stack.callback(os.close, handle)
    return handle


def _flock(handle: int, kind: int) -> bool:
    try:
        fcntl.flock(handle, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _attach_or_lock(run_dir: Path, stack: contextlib.ExitStack) -> "_Notice | int":
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


def _lock_alone(run_dir: Path, stack: contextlib.ExitStack) -> int:
    lock = _open_lock(run_dir / "services.lock", stack)
    deadline = time.monotonic() + _WAIT_SECONDS
    told = False
    while not _flock(lock, fcntl.LOCK_EX):
        notice = _read(run_dir)
        if (notice and notice.command == "daybook up") or time.monotonic() > deadline:
            raise ServiceError(_occupied(run_dir))
        if not told:
            _say(f"waiting for {_who(notice)} to release {run_dir.parent}.")
            told = True
        time.sleep(_POLL_SECONDS)
    return lock


def _who(notice: _Notice | None) -> str:
    return f"`{notice.command}` (pid {notice.pid})" if notice else "a Daybook that starts or stops"


def _occupied(run_dir: Path) -> str:
    return (
        f"The data directory {run_dir.parent} is in use by {_who(_read(run_dir))}: stop that first,"
        " or choose another DAYBOOK_DATA_DIR."
    )


def _wait_for_attached(run_dir: Path) -> None:
    """Let commands that use our services finish; none can attach once this has returned."""
    with contextlib.ExitStack() as stack:
        attached = _open_lock(run_dir / "attached.lock", stack)
        deadline = time.monotonic() + _ATTACHED_SECONDS
        told = False
        while not _flock(attached, fcntl.LOCK_EX) and time.monotonic() < deadline:
            if not told:
                _say("waiting for another command that uses the services started here.")
                told = True
            time.sleep(_POLL_SECONDS)
        (run_dir / "services.json").unlink(missing_ok=True)


def _own_command() -> str:
    return " ".join(["daybook", *sys.argv[1:2]])


def _say(line: str) -> None:
    sys.stderr.write(f"daybook: {line}\n")
    sys.stderr.flush()


def _check_given(settings: Settings) -> None:
    if settings.database_url:
        _check_database(settings)
    if settings.redis_url:
        _check_redis(settings)
    if settings.broker_url:
        _check_broker(settings)


def _check_database(settings: Settings) -> None:
    replica = settings.database_url == settings.read_database_url
    name = "DAYBOOK_READ_DATABASE_URL" if replica else "DAYBOOK_DATABASE_URL"
    shown = settings.masked()[name]
    try:
        with psycopg.connect(
            settings.database_url or "",
            connect_timeout=_CONNECT_SECONDS,
            options="-c lock_timeout=2s",
        ) as found:
            version = found.info.server_version // 10_000
            kept = found.execute("show lock_timeout").fetchone() == ("2s",)
    except psycopg.Error as error:
        why = " ".join(str(error).split())
        raise ServiceError(
            f"Postgres at {name}={shown} cannot be used ({why}): start it or correct"
            " the address; without one Daybook starts its own."
        ) from error
    if version < _OLDEST_POSTGRES:
        raise ServiceError(
            f"Postgres at {name}={shown} is version {version}, and Daybook needs"
            f" {_OLDEST_POSTGRES} or newer: upgrade it, or choose another."
        )
    if not kept:
        raise ServiceError(
            f"{name}={shown} forgets what its sessions are told, as a PgBouncer does that ignores"
            " `options`: the role and all timeouts would be lost. Give the address of Postgres."
        )


def _check_redis(settings: Settings) -> None:
    shown = settings.masked()["DAYBOOK_REDIS_URL"]
    try:
        with redis.Redis.from_url(
            settings.redis_url or "", socket_connect_timeout=2, socket_timeout=2, retry=None
        ) as client:
            memory: Any = client.info("memory")
    except (redis.RedisError, OSError, ValueError) as error:
        _say(
            f"warning: Redis at DAYBOOK_REDIS_URL={shown} cannot be used ({error}): commands are"
            " still taken, views are slower to follow."
        )
        return
    policy = str(memory.get("maxmemory_policy", ""))
    if memory.get("maxmemory") and policy.startswith("allkeys"):
        raise ServiceError(
            f"Redis at DAYBOOK_REDIS_URL={shown} throws away whatever it likes when it is full"
            f" (maxmemory-policy {policy}), wake-ups and integration events too: set it to"
            " noeviction or volatile-lru there, or choose another Redis."
        )


def _check_broker(settings: Settings) -> None:
    shown = settings.masked()["DAYBOOK_BROKER_URL"]
    why = wakeups_over_rabbitmq.why_unusable(settings.broker_url or "")
    if why is not None:
        _say(
            f"warning: RabbitMQ at DAYBOOK_BROKER_URL={shown} cannot be used ({why}): commands are"
            " still taken, views are slower to follow."
        )
