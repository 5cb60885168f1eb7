"""The master key of personal data: in the settings, or in a file with one secret a line."""

import secrets
from functools import partial
from pathlib import Path
from typing import NoReturn

from daybook.keys.secret_files import keep_first, replace
from daybook.setting_values import strong_secret
from daybook.settings import Settings, SettingsError
from event_store.privacy.keyring import Keyring
from event_store.privacy.master_keys import LocalMasterKeys


def keyring(settings: Settings) -> Keyring:
    """Return a process's keys of personal data; `SettingsError` if the master key cannot be had.

    A KMS would take the place of `LocalMasterKeys` here.
    """
    return Keyring(LocalMasterKeys(partial(master_secrets, settings)))


def key_file(settings: Settings) -> Path:
    """Return where the secrets are, if they are not in the settings."""
    return settings.master_key_file or settings.data_dir.absolute() / "secrets" / "master"


def master_secrets(settings: Settings) -> list[str]:
    """Return the secrets, the newest first; development makes and keeps one if need be.

    Who loses them has lost all personal data, so nothing is made in the place of a file that is
    named and not there.
    """
    if settings.master_key:
        return settings.master_key.split()
    path = key_file(settings)
    if settings.master_key_file is None and settings.env == "development" and not path.exists():
        keep_first(path, f"{secrets.token_urlsafe(48)}\n")
    try:
        found = [strong_secret(line) for line in path.read_text().split()]
    except OSError as error:
        raise SettingsError([f"{path} cannot be read: {error.strerror}."]) from error
    except ValueError:
        damaged(path)
    return found or damaged(path)


def add_secret(path: Path) -> None:
    """Let a new secret be the first, unless one waits there from a rotation that was cut off."""
    kept = path.read_text().split()
    if len(kept) == 1:
        replace(path, f"{secrets.token_urlsafe(48)}\n{kept[0]}\n")


def keep_newest(path: Path) -> None:
    """Drop all secrets but the first."""
    replace(path, f"{path.read_text().split()[0]}\n")


def damaged(path: Path) -> NoReturn:
    """Refuse a file that has no secrets, or one that is cut short."""
    raise SettingsError([f"{path} holds no master keys: bring it back, or personal data is lost."])
