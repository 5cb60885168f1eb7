"""The settings: what each DAYBOOK_ variable means, and the only place that knows their names."""

import difflib
import re
import secrets
from base64 import b64encode
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Literal

import msgspec

from daybook import setting_values as values
from daybook.keys.secret_files import keep_first
from daybook.setting_values import AUDIT_KEY_BYTES, DURATION, SHORTEST_SECRET, RateLimit

_SHORTEST_PASSWORD = 8
_MOST_PROCESSES = 64
_HIGHEST_PORT = 65535
_MAY_BE_OFF = {"DAYBOOK_RATE_LIMIT", "DAYBOOK_LOGIN_RATE_LIMIT", "DAYBOOK_INTEGRATION_EVENTS"}
_SECRET_NAMES = {
    "DAYBOOK_JWT_SECRET",
    "DAYBOOK_ADMIN_PASSWORD",
    "DAYBOOK_AUDIT_KEYS",
    "DAYBOOK_METRICS_TOKEN",
    "DAYBOOK_MASTER_KEY",
}


class SettingsError(Exception):
    """Settings that are refused; `problems` has one sentence for each."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What the operator decides; every field is the variable DAYBOOK_ and its name in capitals."""

    env: Literal["development", "production"] = "development"
    host: str = "127.0.0.1"
    port: int = 8000
    data_dir: Path = Path("var")
    database_url: str | None = None
    read_database_url: str | None = None
    redis_url: str | None = None
    jwt_secret: str | None = None
    jwt_secret_file: Path | None = None
    audit_keys: tuple[bytes, ...] = ()
    audit_witness_url: str | None = None
    master_key: str | None = None
    master_key_file: Path | None = None
    forgotten_file: Path | None = None
    admin_email: str | None = None
    admin_password: str | None = None
    api_processes: int = 1
    worker_processes: int = 1
    rate_limit: RateLimit | None = RateLimit(100, timedelta(minutes=15))
    login_rate_limit: RateLimit | None = RateLimit(5, timedelta(minutes=15))
    sign_ins_kept: timedelta = timedelta(days=180)
    trusted_proxies: tuple[str, ...] = ()
    cors_origins: tuple[str, ...] = ()
    docs: Literal["public", "off"] = "public"
    payment_window: timedelta = timedelta(minutes=30)
    idempotency_ttl: timedelta = timedelta(days=1)
    cache: Literal["off", "memory", "redis"] = "memory"
    cache_ttl: timedelta = timedelta(minutes=5)
    smtp_url: str | None = None
    metrics_token: str | None = None
    traces_url: str | None = None
    mail_from: str = "Daybook <no-reply@daybook.invalid>"
    integration_events: int | None = 100_000
    broker_url: str | None = None

    def __repr__(self) -> str:
        return f"Settings({self.masked()})"

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> "Settings":
        """Read the variables; an empty one is unset. Raises SettingsError naming all wrong ones."""
        given = {
            name: value
            for name, value in environ.items()
            if name.startswith("DAYBOOK_") and value != ""
        }
        problems = [_unknown(name) for name in sorted(given.keys() - _READERS.keys())]
        fields: dict[str, object] = {}
        for name, (accepted, read) in _READERS.items():
            if name in given:
                try:
                    fields[_field(name)] = read(given[name])
                except ValueError:
                    problems.append(f"{name}={_shown(name, given[name])} is not {accepted}.")
        problems += _combined(given)
        if problems:
            raise SettingsError(problems)
        return msgspec.convert(fields, cls)

    def masked(self) -> dict[str, str]:
        """Every variable with its value as text, secrets hidden."""
        return {name: _as_text(name, getattr(self, _field(name))) for name in _READERS}


def audit_keys(settings: Settings, *, make: bool) -> tuple[bytes, ...]:
    """Get the private keys that sign the log's heads; development makes and keeps one if told."""
    if settings.audit_keys:
        return settings.audit_keys
    path = settings.data_dir.absolute() / "secrets" / "audit-key"
    if make and settings.env == "development" and not path.exists():
        keep_first(path, b64encode(secrets.token_bytes(AUDIT_KEY_BYTES)).decode())
    try:
        return values.audit_keys(path.read_text().strip())
    except FileNotFoundError:
        return ()
    except ValueError as error:
        raise SettingsError([f"{path} is damaged: remove it, and a new key is made."]) from error


def _field(name: str) -> str:
    return name.removeprefix("DAYBOOK_").lower()


def _unknown(name: str) -> str:
    near = difflib.get_close_matches(name, _READERS, n=1)
    hint = f"did you mean {near[0]}?" if near else "the README lists the settings."
    return f"{name} is not a setting of Daybook; {hint}"


def _combined(given: Mapping[str, str]) -> list[str]:
    problems = []
    secret, file = "DAYBOOK_JWT_SECRET", "DAYBOOK_JWT_SECRET_FILE"
    if given.get("DAYBOOK_ENV") == "production" and not given.keys() & {secret, file}:
        problems.append(
            f"{secret} is missing: production needs a random secret of at least"
            f" {SHORTEST_SECRET} bytes, such as `openssl rand -base64 48` prints, or {file}."
        )
    if given.keys() >= {secret, file}:
        problems.append(f"{secret} and {file} are both given: choose one.")
    key, file = "DAYBOOK_MASTER_KEY", "DAYBOOK_MASTER_KEY_FILE"
    if given.get("DAYBOOK_ENV") == "production" and not given.keys() & {key, file}:
        problems.append(
            f"{key} or {file} is missing: production encrypts personal data under a random secret"
            f" of at least {SHORTEST_SECRET} bytes, such as `openssl rand -base64 48` prints."
        )
    if given.keys() >= {key, file}:
        problems.append(f"{key} and {file} are both given: choose one.")
    email, password = "DAYBOOK_ADMIN_EMAIL", "DAYBOOK_ADMIN_PASSWORD"
    if (email in given) != (password in given):
        missing, there = (password, email) if email in given else (email, password)
        problems.append(f"{missing} is missing: {there} is given, and they go together.")
    return problems


def _as_text(name: str, value: object) -> str:
    if value is None or value == ():
        return "off" if name in _MAY_BE_OFF else ""
    if isinstance(value, timedelta):
        return values.duration_text(value)
    if isinstance(value, tuple) and name not in _SECRET_NAMES:
        return ",".join(value)
    return _shown(name, str(value))


def _shown(name: str, value: str) -> str:
    if name in _SECRET_NAMES:
        return "***"
    return _without_password(value) if name.endswith("_URL") else value


def _without_password(url: str) -> str:
    head, at, tail = url.rpartition("@")
    scheme, slashes, user = head.partition("://")
    hidden = f"{scheme}{slashes}{user.partition(':')[0]}:***{at}{tail}" if ":" in user else url
    return re.sub(r"(?i)(password=)[^&\s]*", r"\1***", hidden)


_RATE = "`off` or a limit such as 100/15min (requests, then " + DURATION + ")"

_READERS: dict[str, tuple[str, Callable[[str], object]]] = {
    "DAYBOOK_ENV": ("development or production", values.one_of("development", "production")),
    "DAYBOOK_HOST": ("a host name or address", values.matching(r"[A-Za-z0-9.:_-]+")),
    "DAYBOOK_PORT": ("a port from 1 to 65535", values.whole(1, _HIGHEST_PORT)),
    "DAYBOOK_DATA_DIR": ("a folder", values.path),
    "DAYBOOK_DATABASE_URL": (
        "a Postgres address such as postgresql://user:password@host:5432/daybook",
        values.database,
    ),
    "DAYBOOK_READ_DATABASE_URL": (
        "the Postgres address of a replica such as postgresql://reader:password@replica:5432/daybook",
        values.database,
    ),
    "DAYBOOK_REDIS_URL": (
        "a Redis address such as redis://host:6379/0, rediss:// or unix:///path",
        values.url("redis", "rediss", "unix"),
    ),
    "DAYBOOK_JWT_SECRET": (
        f"{SHORTEST_SECRET} or more random bytes, such as `openssl rand -base64 48` prints",
        values.secrets,
    ),
    "DAYBOOK_JWT_SECRET_FILE": ("a file", values.path),
    "DAYBOOK_AUDIT_KEYS": (
        "32 random bytes such as `openssl rand -base64 32` prints, or several such, with commas",
        values.audit_keys,
    ),
    "DAYBOOK_AUDIT_WITNESS_URL": (
        "an address such as https://witness.example.org/daybook",
        values.url("http", "https"),
    ),
    "DAYBOOK_MASTER_KEY": (
        f"{SHORTEST_SECRET} or more random bytes, or several such secrets and blanks between",
        values.secrets,
    ),
    "DAYBOOK_MASTER_KEY_FILE": ("a file", values.path),
    "DAYBOOK_FORGOTTEN_FILE": ("a file", values.path),
    "DAYBOOK_ADMIN_EMAIL": ("an e-mail address", values.matching(r"[^@\s]+@[^@\s]+\.[^@\s]+")),
    "DAYBOOK_ADMIN_PASSWORD": (
        f"a password of at least {_SHORTEST_PASSWORD} characters",
        values.matching(rf"(?s).{{{_SHORTEST_PASSWORD},}}"),
    ),
    "DAYBOOK_API_PROCESSES": ("a number from 1 to 64", values.whole(1, _MOST_PROCESSES)),
    "DAYBOOK_WORKER_PROCESSES": ("a number from 1 to 64", values.whole(1, _MOST_PROCESSES)),
    "DAYBOOK_RATE_LIMIT": (_RATE, values.rate),
    "DAYBOOK_LOGIN_RATE_LIMIT": (_RATE, values.rate),
    "DAYBOOK_SIGN_INS_KEPT": (DURATION, values.duration),
    "DAYBOOK_TRUSTED_PROXIES": (
        "a comma list of addresses and networks such as 10.0.0.7,192.168.0.0/16",
        values.networks,
    ),
    "DAYBOOK_CORS_ORIGINS": (
        "a comma list of origins such as https://shop.example.com,http://localhost:3000",
        values.origins,
    ),
    "DAYBOOK_DOCS": ("public or off", values.one_of("public", "off")),
    "DAYBOOK_PAYMENT_WINDOW": (DURATION, values.duration),
    "DAYBOOK_IDEMPOTENCY_TTL": (DURATION, values.duration),
    "DAYBOOK_CACHE": ("off, memory or redis", values.one_of("off", "memory", "redis")),
    "DAYBOOK_CACHE_TTL": (DURATION, values.duration),
    "DAYBOOK_SMTP_URL": (
        "an SMTP address such as smtp://user:password@host:587 or smtps://host",
        values.url("smtp", "smtps"),
    ),
    "DAYBOOK_BROKER_URL": (
        "a RabbitMQ address such as amqp://user:password@host:5672 or amqps://host",
        values.url("amqp", "amqps"),
    ),
    "DAYBOOK_INTEGRATION_EVENTS": (
        f"`off` or how many the stream keeps, from 1000 to {values.MOST_KEPT}",
        values.kept,
    ),
    "DAYBOOK_METRICS_TOKEN": (
        f"{SHORTEST_SECRET} or more random bytes, such as `openssl rand -base64 48` prints",
        values.strong_secret,
    ),
    "DAYBOOK_TRACES_URL": (
        "an OTLP collector's address such as http://127.0.0.1:4318",
        values.url("http", "https"),
    ),
    "DAYBOOK_MAIL_FROM": (
        "a sender such as Daybook <no-reply@example.com>, in ASCII",
        values.matching(r"[A-Za-z0-9 .,'_-]*<[!-;=?-~]+@[A-Za-z0-9.-]+>|[!-;=?-~]+@[A-Za-z0-9.-]+"),
    ),
}
