"""The keys that sign access tokens: in the settings, or in a file that changes while Daybook runs.

A file has one secret a line. The first signs, the others are accepted, some of them `until` a time.
"""

import asyncio
import contextlib
import re
import secrets
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

import structlog

from api.tokens import LIFETIME_SECONDS
from daybook.keys.secret_files import keep_first, locked, replace
from daybook.setting_values import strong_secret
from daybook.settings import Settings, SettingsError

LINE = re.compile(r"(?P<secret>\S+)(?:\s+until\s+(?P<until>\S+))?")
LOOK_SECONDS = 1.0
# After this time every process that looks at the file knows a key that was added to it.
SETTLE_SECONDS = 3.0
CLOCK_SKEW = timedelta(minutes=10)

log = structlog.get_logger(__name__)


class SigningKey(NamedTuple):
    """A secret, and until when it is accepted; None: for as long as it is there."""

    secret: str
    until: datetime | None = None

    @property
    def name(self) -> str:
        """The key id, `kid`: it tells nothing of the secret."""
        return sha256(self.secret.encode()).hexdigest()[:8]


IN_SETTINGS = (
    "The keys are in DAYBOOK_JWT_SECRET: put a new secret after the old one, with a blank between,"
    " and restart every process; then put the new one first, and restart again. With"
    " DAYBOOK_JWT_SECRET_FILE instead, `daybook keys rotate` does it without a restart."
)


def key_file(settings: Settings) -> Path:
    """Return where the keys are, if they are not in the settings."""
    return settings.jwt_secret_file or settings.data_dir.absolute() / "secrets" / "jwt"


def signing_keys(settings: Settings) -> list[SigningKey]:
    """Return the keys that are accepted now; the first signs. Development makes one if need be."""
    if settings.jwt_secret:
        return [SigningKey(one) for one in settings.jwt_secret.split()]
    path = key_file(settings)
    if settings.jwt_secret_file is None and not path.exists():
        keep_first(path, f"{secrets.token_urlsafe(48)}\n")
    return accepted(read(path))


def read(path: Path) -> list[SigningKey]:
    """Return the keys of a file; `SettingsError` if it cannot be read or is damaged."""
    try:
        lines = path.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError([f"{path} cannot be read: {type(error).__name__}."]) from error
    try:
        found = [key_of(line) for line in lines if line.strip()]
    except ValueError:
        found = []
    if not found or found[0].until is not None:
        raise SettingsError([f"{path} is damaged: it has one secret of 32 or more bytes a line."])
    return found


def key_of(line: str) -> SigningKey:
    """Read a line; `ValueError`."""
    match = LINE.fullmatch(line.strip())
    if match is None:
        raise ValueError
    until = datetime.fromisoformat(match["until"]).astimezone(UTC) if match["until"] else None
    return SigningKey(strong_secret(match["secret"]), until)


def accepted(keys: Sequence[SigningKey]) -> list[SigningKey]:
    """Return those whose time is not over."""
    now = datetime.now(UTC)
    return [key for key in keys if key.until is None or key.until > now]


def rotate(settings: Settings, settle: Callable[[float], None] = time.sleep) -> list[SigningKey]:
    """Let a new key sign, and return all keys; the others go once nothing of theirs is of use.

    First the new key is accepted, and only when every process has seen it does it sign: nobody
    gets a token that another process does not know. Killed in between, the next rotation goes on.
    """
    if settings.jwt_secret:
        raise SettingsError([IN_SETTINGS])
    path = key_file(settings)
    keep_first(path, f"{secrets.token_urlsafe(48)}\n")
    with locked(path):
        signs, *others = accepted(read(path))
        prepared = [key for key in others if key.until is None]
        new = prepared[0] if prepared else SigningKey(secrets.token_urlsafe(48))
        retired = [key for key in others if key.until is not None]
        write(path, [signs, new, *retired])
        settle(SETTLE_SECONDS)
        until = datetime.now(UTC) + useful(settings)
        keys = [new, SigningKey(signs.secret, until), *retired]
        write(path, keys)
    return keys


def useful(settings: Settings) -> timedelta:
    """Return for how long a key that signs no more is needed: for tokens and for what it hashed."""
    window = settings.login_rate_limit.window if settings.login_rate_limit else timedelta()
    lifetime = timedelta(seconds=LIFETIME_SECONDS)
    return max(lifetime, settings.idempotency_ttl, window) + CLOCK_SKEW


def write(path: Path, keys: Sequence[SigningKey]) -> None:
    """Put keys into the place of others: whoever reads finds the old ones or the new ones."""
    lines = [
        f"{key.secret} until {key.until:%Y-%m-%dT%H:%M:%SZ}" if key.until else key.secret
        for key in keys
    ]
    replace(path, "".join(f"{line}\n" for line in lines))


def described(keys: Sequence[SigningKey]) -> list[dict[str, str | None]]:
    """Return what may be shown of keys, the one that signs first."""
    return [
        {
            "name": key.name,
            "use": "verifies" if number else "signs",
            "until": f"{key.until:%Y-%m-%dT%H:%M:%SZ}" if key.until else None,
        }
        for number, key in enumerate(keys)
    ]


class KeyRing:
    """The keys as a running process knows them."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.keys = signing_keys(settings)

    @property
    def by_name(self) -> dict[str, bytes]:
        """The secrets that are accepted by key id; the first signs."""
        return {key.name: key.secret.encode() for key in self.keys}

    @property
    def signs(self) -> str:
        """The id of the key that signs."""
        return self.keys[0].name

    def secrets(self) -> list[bytes]:
        """Return the secrets, the one that signs first."""
        return [key.secret.encode() for key in self.keys]

    def look(self) -> bool:
        """Read the keys again; tell whether they are others."""
        try:
            found = signing_keys(self._settings)
        except SettingsError as error:
            log.warning("keys_unread", reason=str(error), effect="the known keys stay in use")
            return False
        if found == self.keys:
            return False
        self.keys = found
        return True

    @asynccontextmanager
    async def following(self, tell: Callable[[], None]) -> AsyncIterator[None]:
        """Look each second while the block runs, and `tell` of a change."""
        task = asyncio.create_task(self._follow(tell), name="signing keys")
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def _follow(self, tell: Callable[[], None]) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            if self.look():
                log.warning("keys_changed", signs=self.signs, accepted=list(self.by_name))
                tell()
