"""The services a command works with: Postgres and Valkey, given by address or kept by Daybook."""

import contextlib
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from daybook.embedded import postgres as embedded_postgres
from daybook.embedded import sockets
from daybook.embedded import valkey as embedded_valkey
from daybook.embedded.keeper import (
    Notice,
    attach_or_lock,
    forbidden,
    lock_alone,
    run_dir_of,
    wait_for_attached,
    write,
)
from daybook.given_services import check_given
from daybook.keys.master_key import keyring
from daybook.processes.supervisor import ServiceError, Supervisor
from daybook.settings import Settings
from event_store.privacy.keyring import NO_KEYS, Keyring

__all__ = ["ServiceError", "Services", "kept_services", "services"]


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


@contextlib.contextmanager
def services(settings: Settings) -> Iterator[Services]:
    """Get the services for one command: those given, those another Daybook keeps, or its own.

    Raises ServiceError. Redis that cannot be reached is only warned of: the log needs none.
    """
    if settings.database_url and settings.redis_url:
        check_given(settings)
        yield Services(
            settings.database_url, settings.redis_url, keyring(settings), settings.broker_url
        )
        return
    run_dir = run_dir_of(settings)
    with contextlib.ExitStack() as stack:
        found = attach_or_lock(run_dir, stack)
        if isinstance(found, Notice):
            yield _attached(settings, found)
            return
        _, kept = stack.enter_context(_keep(settings, found, _own_command()))
        stack.callback(wait_for_attached, run_dir)
        yield kept


@contextlib.contextmanager
def kept_services(settings: Settings) -> Iterator[tuple[Supervisor, Services]]:
    """Keep the services for `daybook up`; the supervisor is to keep the rest as well.

    Raises ServiceError when another Daybook has the data directory.
    """
    with contextlib.ExitStack() as stack:
        lock = lock_alone(run_dir_of(settings), stack)
        yield stack.enter_context(_keep(settings, lock, "daybook up"))


@contextlib.contextmanager
def _keep(settings: Settings, lock: int, command: str) -> Iterator[tuple[Supervisor, Services]]:
    data_dir = settings.data_dir.absolute()
    check_given(settings)
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
            raise ServiceError(forbidden(data_dir, error)) from error
        supervisor.publish(notice_file)
        write(notice_file, Notice(os.getpid(), command, database, cache))
        yield supervisor, _chosen(settings, database, cache)


def _tidy(data_dir: Path) -> None:
    for wanted in ((data_dir / "postgres").resolve() / "run", data_dir / "run"):
        sockets.tidy(wanted)


def _chosen(settings: Settings, database: str | None, cache: str | None) -> Services:
    database_url, redis_url = settings.database_url or database, settings.redis_url or cache
    if database_url is None or redis_url is None:
        raise ServiceError(
            "The running Daybook uses a Postgres or Redis of its settings: give this command the"
            " same DAYBOOK_DATABASE_URL and DAYBOOK_REDIS_URL."
        )
    return Services(database_url, redis_url, keyring(settings), settings.broker_url)


def _attached(settings: Settings, notice: Notice) -> Services:
    check_given(settings)
    return _chosen(settings, notice.database_url, notice.redis_url)


def _own_command() -> str:
    return " ".join(["daybook", *sys.argv[1:2]])
