"""The settings: what each DAYBOOK_ variable means, and the only place that knows their names."""

import difflib
import re
import secrets
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit, urlunsplit

import msgspec

from daybook.secret_files import keep_first

_UNITS = {"s": 1, "min": 60, "h": 3600, "d": 86400}
_DURATION = "a duration up to 365d such as 90s, 30min, 2h or 1d"
_SHORTEST_SECRET = 32
_AUDIT_KEY_BYTES = 32
_FEWEST_CHARACTERS = 8
_SHORTEST_PASSWORD = 8
_MOST_PROCESSES = 64
_HIGHEST_PORT = 65535
_MOST_KEPT = 100_000_000
_PLACEHOLDERS = ("changeme", "changethis", "yoursecret", "placeholder", "notsecret", "replaceme")
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


class RateLimit(msgspec.Struct, frozen=True):
    """So many requests within the window."""

    requests: int
    window: timedelta

    def __str__(self) -> str:
        return f"{self.requests}/{_duration_text(self.window)}"


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
        keep_first(path, b64encode(secrets.token_bytes(_AUDIT_KEY_BYTES)).decode())
    try:
        return _audit_keys(path.read_text().strip())
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
            f" {_SHORTEST_SECRET} bytes, such as `openssl rand -base64 48` prints, or {file}."
        )
    if given.keys() >= {secret, file}:
        problems.append(f"{secret} and {file} are both given: choose one.")
    key, file = "DAYBOOK_MASTER_KEY", "DAYBOOK_MASTER_KEY_FILE"
    if given.get("DAYBOOK_ENV") == "production" and not given.keys() & {key, file}:
        problems.append(
            f"{key} or {file} is missing: production encrypts personal data under a random secret"
            f" of at least {_SHORTEST_SECRET} bytes, such as `openssl rand -base64 48` prints."
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
        return _duration_text(value)
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


def _one_of(*values: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in values:
            raise ValueError(text)
        return text

    return read


def _whole(lowest: int, highest: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,9}", text) or not lowest <= int(text) <= highest:
            raise ValueError(text)
        return int(text)

    return read


def _url(*schemes: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        parts = urlsplit(text)
        if parts.scheme not in schemes or text != text.strip() or parts.port == 0:
            raise ValueError(text)
        if not (parts.netloc or parts.query or (parts.scheme == "unix" and parts.path)):
            raise ValueError(text)
        return text

    return read


def _database(text: str) -> str:
    """SQLAlchemy knows only the long form of the scheme."""
    url = _url("postgresql", "postgres")(text)
    return urlunsplit(urlsplit(url)._replace(scheme="postgresql"))


def _duration(text: str) -> timedelta:
    match = re.fullmatch(r"([0-9]{1,8})(s|min|h|d)", text)
    duration = timedelta(seconds=int(match[1]) * _UNITS[match[2]]) if match else timedelta()
    if not timedelta() < duration <= timedelta(days=365):
        raise ValueError(text)
    return duration


def _duration_text(duration: timedelta) -> str:
    seconds = int(duration.total_seconds())
    unit = next(name for name in ("d", "h", "min", "s") if seconds % _UNITS[name] == 0)
    return f"{seconds // _UNITS[unit]}{unit}"


def _rate(text: str) -> RateLimit | None:
    if text == "off":
        return None
    requests, _, window = text.partition("/")
    return RateLimit(_whole(1, 1_000_000)(requests), _duration(window))


def _networks(text: str) -> tuple[str, ...]:
    return tuple(str(ip_network(one.strip(), strict=False)) for one in text.split(","))


def _kept(text: str) -> int | None:
    return None if text == "off" else _whole(1_000, _MOST_KEPT)(text)


def _origins(text: str) -> tuple[str, ...]:
    found = tuple(one.strip().lower() for one in text.split(","))
    if not all(re.fullmatch(r"https?://[a-z0-9.-]+(:[0-9]{1,5})?", one) for one in found):
        raise ValueError(text)
    return found


def strong_secret(text: str) -> str:
    """Return a secret; `ValueError` if it is short or could be guessed."""
    letters = re.sub(r"[^a-z]", "", text.casefold())
    if (
        len(text.encode()) < _SHORTEST_SECRET
        or len(set(text)) < _FEWEST_CHARACTERS
        or any(word in letters for word in _PLACEHOLDERS)
    ):
        raise ValueError
    return text


def _secrets(text: str) -> str:
    return " ".join(strong_secret(one) for one in text.split()) or strong_secret("")


def _audit_keys(text: str) -> tuple[bytes, ...]:
    found = tuple(b64decode(one, validate=True) for one in text.split(","))
    if any(len(key) != _AUDIT_KEY_BYTES or len(set(key)) < _FEWEST_CHARACTERS for key in found):
        raise ValueError
    return found


def _matching(pattern: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ValueError(text)
        return text

    return read


def _path(text: str) -> Path:
    return Path(text).expanduser()


_RATE = "`off` or a limit such as 100/15min (requests, then " + _DURATION + ")"

_READERS: dict[str, tuple[str, Callable[[str], object]]] = {
    "DAYBOOK_ENV": ("development or production", _one_of("development", "production")),
    "DAYBOOK_HOST": ("a host name or address", _matching(r"[A-Za-z0-9.:_-]+")),
    "DAYBOOK_PORT": ("a port from 1 to 65535", _whole(1, _HIGHEST_PORT)),
    "DAYBOOK_DATA_DIR": ("a folder", _path),
    "DAYBOOK_DATABASE_URL": (
        "a Postgres address such as postgresql://user:password@host:5432/daybook",
        _database,
    ),
    "DAYBOOK_READ_DATABASE_URL": (
        "the Postgres address of a replica such as postgresql://reader:password@replica:5432/daybook",
        _database,
    ),
    "DAYBOOK_REDIS_URL": (
        "a Redis address such as redis://host:6379/0, rediss:// or unix:///path",
        _url("redis", "rediss", "unix"),
    ),
    "DAYBOOK_JWT_SECRET": (
        f"{_SHORTEST_SECRET} or more random bytes, such as `openssl rand -base64 48` prints",
        _secrets,
    ),
    "DAYBOOK_JWT_SECRET_FILE": ("a file", _path),
    "DAYBOOK_AUDIT_KEYS": (
        "32 random bytes such as `openssl rand -base64 32` prints, or several such, with commas",
        _audit_keys,
    ),
    "DAYBOOK_MASTER_KEY": (
        f"{_SHORTEST_SECRET} or more random bytes, or several such secrets and blanks between",
        _secrets,
    ),
    "DAYBOOK_MASTER_KEY_FILE": ("a file", _path),
    "DAYBOOK_FORGOTTEN_FILE": ("a file", _path),
    "DAYBOOK_ADMIN_EMAIL": ("an e-mail address", _matching(r"[^@\s]+@[^@\s]+\.[^@\s]+")),
    "DAYBOOK_ADMIN_PASSWORD": (
        f"a password of at least {_SHORTEST_PASSWORD} characters",
        _matching(rf"(?s).{{{_SHORTEST_PASSWORD},}}"),
    ),
    "DAYBOOK_API_PROCESSES": ("a number from 1 to 64", _whole(1, _MOST_PROCESSES)),
    "DAYBOOK_WORKER_PROCESSES": ("a number from 1 to 64", _whole(1, _MOST_PROCESSES)),
    "DAYBOOK_RATE_LIMIT": (_RATE, _rate),
    "DAYBOOK_LOGIN_RATE_LIMIT": (_RATE, _rate),
    "DAYBOOK_SIGN_INS_KEPT": (_DURATION, _duration),
    "DAYBOOK_TRUSTED_PROXIES": (
        "a comma list of addresses and networks such as 10.0.0.7,192.168.0.0/16",
        _networks,
    ),
    "DAYBOOK_CORS_ORIGINS": (
        "a comma list of origins such as https://shop.example.com,http://localhost:3000",
        _origins,
    ),
    "DAYBOOK_DOCS": ("public or off", _one_of("public", "off")),
    "DAYBOOK_PAYMENT_WINDOW": (_DURATION, _duration),
    "DAYBOOK_IDEMPOTENCY_TTL": (_DURATION, _duration),
    "DAYBOOK_CACHE": ("off, memory or redis", _one_of("off", "memory", "redis")),
    "DAYBOOK_CACHE_TTL": (_DURATION, _duration),
    "DAYBOOK_SMTP_URL": (
        "an SMTP address such as smtp://user:password@host:587 or smtps://host",
        _url("smtp", "smtps"),
    ),
    "DAYBOOK_BROKER_URL": (
        "a RabbitMQ address such as amqp://user:password@host:5672 or amqps://host",
        _url("amqp", "amqps"),
    ),
    "DAYBOOK_INTEGRATION_EVENTS": (
        f"`off` or how many the stream keeps, from 1000 to {_MOST_KEPT}",
        _kept,
    ),
    "DAYBOOK_METRICS_TOKEN": (
        f"{_SHORTEST_SECRET} or more random bytes, such as `openssl rand -base64 48` prints",
        strong_secret,
    ),
    "DAYBOOK_TRACES_URL": (
        "an OTLP collector's address such as http://127.0.0.1:4318",
        _url("http", "https"),
    ),
    "DAYBOOK_MAIL_FROM": (
        "a sender such as Daybook <no-reply@example.com>, in ASCII",
        _matching(r"[A-Za-z0-9 .,'_-]*<[!-;=?-~]+@[A-Za-z0-9.-]+>|[!-;=?-~]+@[A-Za-z0-9.-]+"),
    ),
}
