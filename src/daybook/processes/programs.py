"""The long-running programs: an API server, the workers, and all of it at once."""

import http.client
import os
import resource
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import msgspec
import structlog
from granian.constants import HTTPModes, Interfaces, Loops
from granian.http import HTTP1Settings
from granian.server import Server

from daybook.first_admin import NewAdmin, ensure_first_admin
from daybook.keys.privacy import prepare
from daybook.keys.signing_keys import key_file, signing_keys
from daybook.migrate import migrate
from daybook.processes.ports import check_port
from daybook.processes.supervisor import Supervisor
from daybook.services import Services, kept_services, services
from daybook.setting_values import RateLimit
from daybook.settings import Settings

if TYPE_CHECKING:
    # Only for its name: the metrics that it loads look for their folder when they are loaded.
    from daybook.api import Side

FACTORIES: "dict[Side, str]" = {
    "write": "daybook.api:write_side",
    "read": "daybook.api:read_side",
    "all": "daybook.api:both_sides",
}
# Posting shares one interpreter lock: few are enough.
WORKER_THREADS = 3
# How often dramatiq's threads look whether they shall stop, in milliseconds.
WORKER_TIMEOUT = "1000"
STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
HEADER_SECONDS = 20
DRAIN_SECONDS = 8
MOST_CONNECTIONS = 20_000

log = structlog.get_logger(__name__)


def environment(settings: Settings, found: Services) -> Mapping[str, str]:
    """Return the environment in which a program finds the services and secrets of this one."""
    signing_keys(settings)  # made, if need be, before there are processes to look for them
    return os.environ | {
        "DAYBOOK_DATABASE_URL": found.database_url,
        "DAYBOOK_REDIS_URL": found.redis_url,
        **({} if settings.jwt_secret else {"DAYBOOK_JWT_SECRET_FILE": str(key_file(settings))}),
        "dramatiq_worker_timeout": WORKER_TIMEOUT,
        "PYTHONUNBUFFERED": "1",
    }


def serve(settings: Settings, side: "Side") -> None:
    """Run an API server until it is told to stop; one of views alone changes no database."""
    check_port(settings.host, settings.port)
    allow_connections()
    if side == "read":
        settings = reading_alone(settings)
    with services(settings) as found, TemporaryDirectory(prefix="daybook-metrics-") as folder:
        if side != "read":
            migrate(found.database_url)
            prepare(settings, found)
        os.environ.update(environment(settings, found), PROMETHEUS_MULTIPROC_DIR=folder)
        Server(
            FACTORIES[side],
            address=settings.host,
            port=settings.port,
            interface=Interfaces.ASGI,
            factory=True,
            workers=settings.api_processes,
            loop=Loops.uvloop,
            http=HTTPModes.http1,
            http1_settings=HTTP1Settings(header_read_timeout=HEADER_SECONDS * 1_000),
            websockets=False,
            # So many connections at once, idle ones and event streams too; more wait in the kernel.
            backpressure=MOST_CONNECTIONS,
            log_access=False,
            log_level="warning",  # type: ignore[arg-type]  # granian takes the name as well
            respawn_failed_workers=True,
            respawn_interval=0.5,
            workers_kill_timeout=DRAIN_SECONDS,
        ).serve()


def reading_alone(settings: Settings) -> Settings:
    """Return the settings of a process that shows views: it knows only the database it reads."""
    address = settings.read_database_url or settings.database_url
    return msgspec.structs.replace(settings, database_url=address)


def allow_connections() -> None:
    """Let this process and its children have as many files open as connections may need."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_CONNECTIONS + 1_000
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def work(settings: Settings) -> int:
    """Run the workers until they are told to stop; return their exit code."""
    with services(settings) as found:
        migrate(found.database_url)
        prepare(settings, found)
        # Held back until there is somebody to pass them on to; dramatiq lets them in by itself.
        signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
        program = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            worker_command(settings),
            env=dict(environment(settings, found)),
            process_group=0,  # or Ctrl-C would reach it twice, which means "at once"
        )
        for name in STOPPING:
            if signal.getsignal(name) is not signal.SIG_IGN:
                signal.signal(name, lambda _number, _frame: program.terminate())
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING)
        return program.wait()


def worker_command(settings: Settings) -> list[str]:
    """Return the command of the worker processes."""
    return [
        sys.executable,
        "-m",
        "dramatiq",
        "daybook.worker:start",
        f"--processes={settings.worker_processes}",
        f"--threads={WORKER_THREADS}",
        "--worker-shutdown-timeout=8000",
        "--skip-logging",
    ]


@contextmanager
def everything(settings: Settings) -> Iterator[tuple[Supervisor, Services]]:
    """Run services, workers and API while the block lasts; it is entered when they answer."""
    check_port(settings.host, settings.port)
    with kept_services(settings) as (supervisor, found):
        migrate(found.database_url)
        prepare(settings, found)
        env = environment(settings, found)
        supervisor.start("workers", worker_command(settings), env=env)
        command = [sys.executable, "-m", "daybook", "serve", "--side", "all"]
        supervisor.start("api", command, env=env, ready=lambda: answers(settings))
        yield supervisor, found


def up(settings: Settings) -> None:
    """Run everything here until Ctrl-C, and say where it is."""
    with everything(settings) as (supervisor, found):
        # Only now: a password that is shown once must not be lost with a start that fails.
        admin = ensure_first_admin(settings, found)
        supervisor.supervise(lambda: print_now(welcome(settings, found, admin)))


def print_now(text: str) -> None:
    """Write to standard output at once, also where that is a file."""
    sys.stdout.write(text)
    sys.stdout.flush()


def answers(settings: Settings) -> bool:
    """Tell whether the API answers that it is ready."""
    # The proxy of this machine's environment does not know what is here.
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(f"{address(settings)}/health/ready", timeout=2) as answer:
            return bool(answer.status == 200)  # noqa: PLR2004 - 200 OK
    except (http.client.HTTPException, OSError):
        return False


def address(settings: Settings) -> str:
    """Return where the API is, as a browser on this machine finds it."""
    host = "127.0.0.1" if settings.host in {"0.0.0.0", "::"} else settings.host  # noqa: S104 - compared, not bound
    host = f"[{host}]" if ":" in host else host
    return f"http://{host}:{settings.port}"


def welcome(settings: Settings, found: Services, admin: NewAdmin | None) -> str:
    """Return the few lines that say where everything is."""
    data = settings.data_dir.absolute()
    mails = settings.masked()["DAYBOOK_SMTP_URL"] if settings.smtp_url else data / "mail"
    lines = [
        "Daybook runs.",
        f"  API    {address(settings)}/api/v1",
        *([f"  Docs   {address(settings)}/docs"] if settings.docs == "public" else []),
        f"  Mails  {mails}",
        f"  Logs   {data / 'log'}",
        f"  Data   {shown_database(found, data)}",
        f"  Limit  {shown_limit(settings.rate_limit)}",
    ]
    if admin is not None:
        lines.append(f"  Admin  {admin.email}")
        if admin.made_up:
            lines.append(f"         password {admin.password} (made up, shown only now)")
    lines.append("Ctrl-C stops it; the data stays.")
    return "\n".join(lines) + "\n"


def shown_limit(limit: RateLimit | None) -> str:
    """Return how many requests are taken, and where that is set."""
    if limit is None:
        return "none"
    return f"{limit} requests of each user or address (DAYBOOK_RATE_LIMIT)"


def shown_database(found: Services, data: Path) -> str:
    """Return where the data is, without a password."""
    return (
        str(data) if "host=/" in found.database_url.replace("%2F", "/") else "DAYBOOK_DATABASE_URL"
    )
