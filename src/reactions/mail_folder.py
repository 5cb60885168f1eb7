"""Mails as files in a folder, for an installation without an SMTP server."""

import os
import re
import tempfile
from collections.abc import Collection
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path

from reactions.reaction import Outage

NAME = re.compile(r"([0-9]+)-")


class MailFolder:
    """The folder; a mail that is sent again replaces its file."""

    def __init__(self, folder: Path) -> None:
        """`folder` need not exist yet."""
        self._folder = folder

    def send(self, message: EmailMessage, name: str) -> None:
        """Write `<name>.eml`, whole or not at all; raises `Outage` if the disk does not take it."""
        international = not message["To"].addresses[0].addr_spec.isascii()
        content = message.as_bytes(policy=SMTP.clone(utf8=international))
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._write(content, self._folder / f"{name}.eml")
        except OSError as error:
            raise Outage(f"{self._folder} cannot be written: {error.strerror}") from error

    def close(self) -> None:
        """Do nothing: files are closed."""

    def positions(self) -> list[int]:
        """Return the positions of the events that the mails here are about."""
        found = (NAME.match(path.name) for path in self._folder.glob("*.eml"))
        return sorted({int(match[1]) for match in found if match})

    def remove(self, positions: Collection[int]) -> None:
        """Remove the mails about some events, and what was left half-written."""
        for path in [*self._folder.glob("*.eml"), *self._folder.glob(".*.new")]:
            match = NAME.match(path.name)
            if match is None or int(match[1]) in positions:
                path.unlink(missing_ok=True)

    def _write(self, content: bytes, path: Path) -> None:
        handle, half = tempfile.mkstemp(dir=self._folder, prefix=".", suffix=".new")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            Path(half).replace(path)
        finally:
            Path(half).unlink(missing_ok=True)
