"""`daybook audit export`: events of the log into a file, with a proof of them beside it."""

import asyncio
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console

from daybook.command_line.auditing import progress_bar
from daybook.command_line.operator_commands import access
from daybook.migrate import migrate
from daybook.services import ServiceError, services
from daybook.settings import Settings, audit_keys
from event_store.evidence.notes import Signer
from event_store.history.exporting import Manifest, Proof, Unproven, head_for, pages
from event_store.history.formats import WRITERS, Format
from event_store.history.questions import Question
from event_store.trail import Trail


class Exported(msgspec.Struct, frozen=True):
    """What was exported, and where it is."""

    file: str
    proof: str
    events: int
    size: int
    sha256: str


def export_now(  # noqa: PLR0913 - what can be typed, each by its name
    settings: Settings,
    console: Console,
    *,
    file: Path,
    form: Format,
    question: Question,
    words: dict[str, Any],
) -> Exported:
    """Write an export and its proof; until both are whole their names end in `.part`."""
    with services(settings) as found:
        migrate(found.database_url)
        return asyncio.run(
            exported(settings, found.database_url, console, file, form, question, words)
        )


async def exported(  # noqa: PLR0913, PLR0917 - as above
    settings: Settings,
    database_url: str,
    console: Console,
    file: Path,
    form: Format,
    question: Question,
    words: dict[str, Any],
) -> Exported:
    """Write it page by page."""
    noted = access("export", "export", format=form, **words)
    proof_file = file.with_name(f"{file.name}.proof")
    parts = [path.with_name(f"{path.name}.part") for path in (file, proof_file)]
    rows, digest = 0, sha256()
    async with Trail(database_url) as trail:
        try:
            head, note = await head_for(trail.lent)
        except Unproven as error:
            raise ServiceError(str(error)) from error
        await trail.note(noted, 0)
        signers = [Signer(head.origin, seed) for seed in audit_keys(settings, make=False)]
        proof = Proof(trail.lent, Manifest(head.size, note, words), signers)
        writer = WRITERS[form]()
        with parts[0].open("wb") as out, parts[1].open("wb") as lines:
            lines.write(proof.begin())
            with progress_bar(console) as progress:
                task = progress.add_task("exporting", total=head.size)
                async for page in pages(trail.lent, question, head.size):
                    content = writer.page(page)
                    digest.update(content)
                    out.write(content)
                    lines.write(await proof.page([one.position for one in page]))
                    rows += len(page)
                    progress.update(task, completed=page[-1].position)
                progress.update(task, completed=head.size)
            content = writer.end()
            digest.update(content)
            out.write(content)
            lines.write(await proof.end(digest.hexdigest()))
        said = {**noted.asked, "sha256": digest.hexdigest()}
        await trail.note(msgspec.structs.replace(noted, action="exported", asked=said), rows)
    for part, path in zip(parts, (file, proof_file), strict=True):
        part.replace(path)
    return Exported(str(file), str(proof_file), rows, head.size, digest.hexdigest())
