"""What `daybook audit` does on this machine: verifying the log against its heads."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

from daybook.migrate import migrate
from daybook.notary import audit_folder, folder_of, known_keys, replace
from daybook.services import ServiceError, services
from daybook.settings import Settings, audit_keys
from event_store.connections import connect
from event_store.evidence.findings import Verified
from event_store.evidence.heads import origin_of
from event_store.evidence.notes import Head, PublicKey, Signer, head_of
from event_store.evidence.verification import Asked, verify

STATEMENT_MS = 600_000


def verify_now(  # noqa: PLR0913 - what can be typed, each by its name
    settings: Settings,
    console: Console,
    *,
    first: int,
    last: int | None,
    since_verified: bool,
    against: Sequence[Path],
    keys: Sequence[str],
) -> Verified:
    """Verify the log, all or a part of it, with a progress bar; remember how far it was whole."""
    with services(settings) as found:
        migrate(found.database_url)
        with connect(
            found.database_url, name="daybook verify", statement_ms=STATEMENT_MS
        ) as connection:
            origin = origin_of(connection)
            folder = folder_of(audit_folder(settings), origin)
            trusted = trusted_keys(settings, origin, folder, keys)
            asked = Asked(
                trusted=trusted,
                first=first,
                last=last,
                start=verified_before(folder, trusted) if since_verified else None,
                published=published_heads(folder, against, trusted),
            )
            with progress_bar(console) as progress:
                task = progress.add_task("verifying", total=None)
                verified = verify(
                    connection,
                    asked,
                    lambda now, end: progress.update(task, completed=now, total=end),
                )
    if verified.finding is None and verified.note and first == 1 and last is None:
        folder.mkdir(parents=True, exist_ok=True)
        replace(folder / "verified.note", verified.note)
    return verified


def progress_bar(console: Console) -> Progress:
    """Return a bar that counts events."""
    return Progress(
        "[progress.description]{task.description}",
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
    )


def trusted_keys(
    settings: Settings, origin: str, folder: Path, given: Sequence[str]
) -> list[PublicKey]:
    """Return the keys that are believed: those given, our own, and those published here before.

    What the database says of keys is not believed: whoever rewrites the log could write there.
    """
    own = [Signer(origin, seed).public for seed in audit_keys(settings, make=False)]
    found = [*(PublicKey.parse(one) for one in given), *own, *known_keys(folder)]
    if not found:
        raise ServiceError(
            "There is no key to check the heads of the log with: give it by --key, as the API"
            " publishes it, or set DAYBOOK_AUDIT_KEYS; workers in development make one."
        )
    return list(dict.fromkeys(found))


def verified_before(folder: Path, trusted: Sequence[PublicKey]) -> Head | None:
    """Return the head up to which the log was verified here, None if it never was."""
    path = folder / "verified.note"
    return head_of(path.read_text(encoding="utf-8"), trusted) if path.exists() else None


def published_heads(
    folder: Path, against: Sequence[Path], trusted: Sequence[PublicKey]
) -> list[Head]:
    """Return the heads in files: those named, and those that were published here."""
    own = [folder / "head.note", *sorted((folder / "heads").glob("*.note"))]
    files = [*against, *(path for path in own if path.exists())]
    heads = [head_of(path.read_text(encoding="utf-8"), trusted) for path in files]
    return list(dict.fromkeys(heads))
