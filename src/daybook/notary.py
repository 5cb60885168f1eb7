"""The notary of a worker process: tree and index grow behind the log; heads are signed, published.

What is published outlives whoever has power over Postgres: files in `audit/` of the data directory.
"""

import threading
import time
from datetime import timedelta
from pathlib import Path

import psycopg
import structlog
from psycopg import Connection
from psycopg.rows import TupleRow

from daybook.keys.secret_files import locked, replace
from daybook.logs import Seldom
from daybook.settings import Settings, audit_keys
from daybook.witness import Witness
from event_store.connections import connect
from event_store.evidence.access_chain import (
    check_chain_contains,
    newest_access_note,
    sign_accesses,
)
from event_store.evidence.growing import LogIncomplete, grow, size_of
from event_store.evidence.heads import (
    LogRewritten,
    check_contains,
    head_in,
    newest_note,
    origin_of,
    published_keys,
    sign,
)
from event_store.evidence.notes import BadNote, PublicKey, Signer
from event_store.evidence.tiles import TreeDamaged
from event_store.history.postings import index_blocks

TICK_SECONDS = 1.0
BETWEEN_HEADS = timedelta(seconds=10)
STATEMENT_MS = 60_000
EVERYBODY = 0o644
TAMPERED = (LogRewritten, LogIncomplete, TreeDamaged, BadNote)

log = structlog.get_logger(__name__)


def start_notary(settings: Settings, database_url: str) -> None:
    """Keep the evidence up for as long as this process lives; it may be killed at any moment."""
    seeds = audit_keys(settings, make=True)
    if not seeds:
        log.warning("heads_not_signed", reason="DAYBOOK_AUDIT_KEYS is not set")
    witness = Witness(settings.audit_witness_url)
    arguments = (database_url, seeds, audit_folder(settings), witness)
    threading.Thread(target=keep_evidence, args=arguments, name="notary", daemon=True).start()


def audit_folder(settings: Settings) -> Path:
    """Return the folder of what is published; each log has one of its own in it."""
    return settings.data_dir.absolute() / "audit"


def folder_of(folder: Path, origin: str) -> Path:
    """Return the folder of what is published of one log."""
    return folder / origin.rpartition("/")[2]


def keep_evidence(
    database_url: str, seeds: tuple[bytes, ...], folder: Path, witness: Witness
) -> None:
    """Do each second what is due; what fails is said, and tried again."""
    seldom = Seldom()
    while True:
        try:
            with connect(database_url, name="daybook notary", statement_ms=STATEMENT_MS) as lent:
                while True:
                    attest(lent, seeds, folder)
                    witness.tell(lent)
                    if not index_blocks(lent):
                        time.sleep(TICK_SECONDS)
        except TAMPERED as found:
            if seldom.due("log_tampered"):
                log.error("log_tampered", reason=str(found), advice="daybook audit verify")  # noqa: TRY400 - the reason is all there is to say
        except (psycopg.Error, OSError) as error:
            if seldom.due("notary_waits"):
                log.warning("notary_waits", error=str(error).strip())
        time.sleep(TICK_SECONDS)


def attest(
    connection: Connection[TupleRow],
    seeds: tuple[bytes, ...],
    folder: Path,
    between: timedelta = BETWEEN_HEADS,
) -> None:
    """Grow the tree, sign it if it is time, and publish the newest head.

    Raises `LogRewritten` if what was signed or published before is not in the tree, and others of
    `TAMPERED`; then nothing is signed and the published files stay.
    """
    grow(connection)
    origin = origin_of(connection)
    folder = folder_of(folder, origin)
    check_published(connection, folder)
    if seeds:
        sign(connection, [Signer(origin, seed) for seed in seeds], between)
        sign_accesses(connection, origin, seeds, between)
    publish(connection, folder)


def check_published(connection: Connection[TupleRow], folder: Path) -> None:
    """Raise `LogRewritten` unless tree and chain of accesses contain what was published last.

    The newest and that of the last day: who takes one of the files away has not taken both.
    """
    size = size_of(connection)
    for note in newest_in(folder, "head.note", "heads"):
        check_contains(connection, head_in(note), size)
    for note in newest_in(folder, "accesses.note", "accesses"):
        check_chain_contains(connection, head_in(note))


def newest_in(folder: Path, name: str, days: str) -> list[str]:
    """Return what was published last, once if the newest is that of the last day."""
    paths = [folder / name, *sorted((folder / days).glob("*.note"))[-1:]]
    return list(dict.fromkeys(note for path in paths if (note := read_note(path))))


def read_note(path: Path) -> str | None:
    """Return what was published in a file, None if nothing was."""
    return path.read_text(encoding="utf-8") if path.exists() else None


def publish(connection: Connection[TupleRow], folder: Path) -> None:
    """Write the newest heads, as the newest and as those of their day, and the keys seen so far."""
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder / "published"):  # several workers may have one data directory
        for name, days, note in (
            ("head.note", "heads", newest_note(connection)),
            ("accesses.note", "accesses", newest_access_note(connection)),
        ):
            path = folder / name
            if note is None or read_note(path) == note:
                continue
            (folder / days).mkdir(exist_ok=True)
            publish_keys(connection, folder)
            day = f"{head_in(note).signed_at:%Y-%m-%d}.note"
            replace(folder / days / day, note, EVERYBODY)
            replace(path, note, EVERYBODY)


def publish_keys(connection: Connection[TupleRow], folder: Path) -> None:
    """Write the keys that have signed, those first that were here before."""
    keys = known_keys(folder)
    if new := [key for key in published_keys(connection) if key not in keys]:
        lines = "".join(f"{key}\n" for key in [*keys, *new])
        replace(folder / "keys.txt", lines, EVERYBODY)


def known_keys(folder: Path) -> list[PublicKey]:
    """Return the public keys that were published here."""
    try:
        text = (folder / "keys.txt").read_text(encoding="utf-8")
    except FileNotFoundError:
        return []
    return [PublicKey.parse(line) for line in text.splitlines()]
