"""The services that settings name: whether what they say is there, and fit to be used."""

from typing import Any

import psycopg
import redis

from daybook.processes.supervisor import ServiceError, say
from daybook.settings import Settings
from daybook.wakeups import over_rabbitmq as wakeups_over_rabbitmq

_CONNECT_SECONDS = 5
_OLDEST_POSTGRES = 15


def check_given(settings: Settings) -> None:
    """Raise ServiceError unless what is named can be used; of what can be done without: warn."""
    if settings.database_url:
        _check_database(settings)
    if settings.redis_url:
        check_redis(settings)
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


def check_redis(settings: Settings) -> None:
    """Raise ServiceError if Redis throws away what it is to keep; warn if it is not there."""
    shown = settings.masked()["DAYBOOK_REDIS_URL"]
    try:
        with redis.Redis.from_url(
            settings.redis_url or "", socket_connect_timeout=2, socket_timeout=2, retry=None
        ) as client:
            memory: Any = client.info("memory")
    except (redis.RedisError, OSError, ValueError) as error:
        say(
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
        say(
            f"warning: RabbitMQ at DAYBOOK_BROKER_URL={shown} cannot be used ({why}): commands are"
            " still taken, views are slower to follow."
        )
