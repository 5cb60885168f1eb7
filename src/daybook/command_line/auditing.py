"""What `daybook audit` does on this machine: verifying the log against its heads."""

from collections.abc import Sequence
from pathlib import Path

import msgspec
import psycopg
from psycopg import Connection
from psycopg.rows import TupleRow
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

from daybook.command_line.operator_commands import access
from daybook.keys.secret_files import locked, replace
from daybook.migrate import migrate
from daybook.notary import EVERYBODY, audit_folder, folder_of, known_keys
from daybook.services import ServiceError, services
from daybook.settings import Settings, audit_keys
from event_store.connections import connect
from event_store.evidence.access_chain import (
    origin_of_accesses,
    trusted_for_accesses,
    verify_accesses,
)
from event_store.evidence.findings import Verified
from event_store.evidence.heads import origin_of
from event_store.evidence.notes import BadNote, Head, PublicKey, Signer, head_of
from event_store.evidence.verification import Asked, verify
from event_store.history import accesses

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
    """Verify the log, all or a part of it, with a progress bar; remember how far it was whole.

    With the whole log, and what came since, the records of who asked what are verified too. That
    it was verified, and whether something was found, is recorded among them.
    """
    with services(settings) as found:
        migrate(found.database_url)
        with connect(
            found.database_url, name="daybook verify", statement_ms=STATEMENT_MS
        ) as connection:
            origin = origin_of(connection)
            folder = folder_of(audit_folder(settings), origin)
            trusted = trusted_keys(settings, origin, folder, keys)
            published = published_heads(folder, against, trusted)
            asked = Asked(
                trusted=trusted,
                first=first,
                last=last,
                start=verified_before(folder, trusted) if since_verified else None,
                published=[one for one in published if one.origin == origin],
            )
            with progress_bar(console) as progress:
                task = progress.add_task("verifying", total=None)
                verified = verify(
                    connection,
                    asked,
                    lambda now, end: progress.update(task, completed=now, total=end),
                )
            if first == 1 and last is None:
                ends = [one for one in published if one.origin == origin_of_accesses(origin)]
                verified = with_accesses(connection, verified, trusted, ends)
            note(connection, verified, first=first, last=last, sinceVerified=since_verified)
    if verified.finding is None and verified.note and first == 1 and last is None:
        folder.mkdir(parents=True, exist_ok=True)
        with locked(folder / "published"):
            replace(folder / "verified.note", verified.note, EVERYBODY)
    if first > 1 and not verified.events and verified.finding is None:
        raise ServiceError(f"The log ends at position {verified.last}: from {first} on is nothing.")
    return verified


def with_accesses(
    connection: Connection[TupleRow],
    verified: Verified,
    trusted: Sequence[PublicKey],
    published: Sequence[Head],
) -> Verified:
    """Return a verification with that of the records of accesses."""
    count, finding = verify_accesses(connection, trusted, published)
    found = verified.finding or finding
    return msgspec.structs.replace(verified, accesses=count, finding=found)


def note(connection: Connection[TupleRow], verified: Verified, **words: object) -> None:
    """Record a verification; what was found is told even if the records are beyond recording."""
    finding = verified.finding
    found = {"found": finding.kind, "foundAt": finding.position} if finding else {}
    done = access("verify", "verification", **words, accesses=verified.accesses, **found)
    try:
        accesses.note(connection, done, verified.events)
    except psycopg.Error:
        if finding is None:
            raise


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
    return head_in_file(path, trusted) if path.exists() else None


def published_heads(
    folder: Path, against: Sequence[Path], trusted: Sequence[PublicKey]
) -> list[Head]:
    """Return the heads in files, of the log and of its accesses: those named, and our own."""
    own = [folder / "head.note", *sorted((folder / "heads").glob("*.note"))]
    own += [folder / "accesses.note", *sorted((folder / "accesses").glob("*.note"))]
    files = [*against, *(path for path in own if path.exists())]
    keys = [*trusted, *trusted_for_accesses(trusted)]
    return list(dict.fromkeys(head_in_file(path, keys) for path in files))


def head_in_file(path: Path, keys: Sequence[PublicKey]) -> Head:
    """Return the head in a file; `ServiceError` names the file that holds none to be trusted."""
    try:
        return head_of(path.read_text(encoding="utf-8"), keys)
    except (BadNote, UnicodeDecodeError) as error:
        raise ServiceError(
            f"{path} holds no signed head that can be trusted ({error}): somebody has changed it,"
            " or the key that has signed it has to be given by --key."
        ) from error
