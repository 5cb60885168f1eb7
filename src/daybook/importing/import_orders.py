"""`daybook import orders`: the file, its progress bar, the rejects and the result."""

import csv
import time
from collections.abc import Callable, Generator, Iterable
from contextlib import closing
from pathlib import Path
from typing import TextIO

import uvloop
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from daybook.command_line.operator_commands import note_operation, operator, operator_tools
from daybook.command_line.views import catch_up_all
from daybook.importing.order_file import FORMATS, Entry, FileRefused, Rejected, lines_of, opened
from daybook.importing.order_import import OrderImport, Outcome
from daybook.keys.privacy import prepare
from daybook.migrate import migrate
from daybook.services import Services, services
from daybook.settings import Settings

LINES_BETWEEN_UPDATES = 2_000

Show = Callable[[dict[str, object]], None]


def run(  # noqa: PLR0913 - what the command line has to say
    settings: Settings,
    file: Path,
    *,
    layout: str | None,
    rejects: Path | None,
    console: Console,
    show: Show,
) -> None:
    """Import a file and wait until every view shows it."""
    if layout is not None and layout not in FORMATS:
        raise FileRefused(f"There is no format {layout}: choose one of {', '.join(FORMATS)}.")
    if not file.is_file():
        raise FileRefused(f"There is no file {file}.")
    started = time.monotonic()
    refused = rejects or settings.data_dir / "imports" / f"{file.name}.rejects.csv"
    if refused.exists() and refused.samefile(file):
        raise FileRefused(f"{refused} is the file to import: choose another for refused lines.")
    refused.parent.mkdir(parents=True, exist_ok=True)
    with services(settings) as found:
        migrate(found.database_url)
        prepare(settings, found)
        with (
            refused.open("w", encoding="utf-8", newline="", errors="replace") as rejected,
            closing(read_with_bar(file, layout, console)) as lines,
        ):
            outcome = uvloop.run(import_lines(found, lines, rejected))
        note_operation(found.database_url, "import_orders", outcome.orders)
        appended = time.monotonic() - started
        catch_up_all(found.database_url, found.keys, console)
    show(
        {
            "lines read": outcome.read,
            "lines accepted": outcome.accepted,
            "lines refused": sum(outcome.refused.values()),
            **{f"  {reason}": count for reason, count in outcome.refused.most_common()},
            "orders new": outcome.orders,
            "orders known already": outcome.orders_known,
            "customers new": outcome.customers,
            "products new": outcome.products,
            "seconds to append": round(appended, 1),
            "seconds with views": round(time.monotonic() - started, 1),
            "refused lines are in": str(refused),
        }
    )


async def import_lines(
    found: Services, lines: Iterable[Entry | Rejected], rejected: TextIO
) -> Outcome:
    """Import lines over a store of its own."""
    writer = csv.writer(rejected)
    writer.writerow(["line", "invoice", "reason"])

    def reject(one: Rejected) -> None:
        writer.writerow([one.line, one.invoice, one.reason])

    async with operator_tools(found) as tools:
        return await OrderImport(tools, operator(), reject).run(lines)


def read_with_bar(
    file: Path, layout: str | None, console: Console
) -> Generator[Entry | Rejected, None, None]:
    """Read the lines of a file, and show how many of its bytes are read."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TimeRemainingColumn(),
    )
    with opened(file) as (text, tell), Progress(*columns, console=console) as progress:
        task = progress.add_task(f"importing {file.name}", total=file.stat().st_size)
        for number, line in enumerate(lines_of(text, layout)):
            if number % LINES_BETWEEN_UPDATES == 0:
                progress.update(task, completed=tell())
            yield line
        progress.update(task, completed=tell())
