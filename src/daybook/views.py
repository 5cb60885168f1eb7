"""The views from the command line: where they stand, bringing them up to date, making them anew."""

import time
from collections.abc import Callable

import psycopg
from psycopg import Connection
from psycopg.rows import TupleRow
from rich.console import Console
from rich.progress import Progress

from daybook.migrate import migrate
from daybook.services import ServiceError, services
from daybook.settings import Settings
from event_store.connections import connect
from event_store.privacy.keyring import Keyring
from projections.engine import Pages, ProjectionFailed, behind, post_some
from projections.leases import joined
from projections.projection import Projection
from projections.rebuild import RebuildRunning, Rebuilt, rebuild
from projections.status import Status, statuses
from projections.switched_on import PROJECTIONS

STATEMENT_MS = 600_000
POLL_SECONDS = 0.1


def connected(database_url: str) -> Connection[TupleRow]:
    """Open a connection on which a statement may take minutes."""
    return connect(database_url, name="daybook operator", statement_ms=STATEMENT_MS)


def statuses_now(settings: Settings) -> list[Status]:
    """Return the status of every view."""
    with services(settings) as found:
        migrate(found.database_url)
        with connected(found.database_url) as connection:
            return statuses(connection)


def catch_up_all(database_url: str, keys: Keyring, console: Console) -> None:
    """Post every view to the end of the log, together with the workers if there are any."""
    pages = Pages(PROJECTIONS.values(), keys)
    with (
        connected(database_url) as connection,
        joined(connection, PROJECTIONS.values()) as crew,
        Progress(console=console) as progress,
    ):
        left = {name: behind(connection, one) for name, one in PROJECTIONS.items()}
        tasks = {name: progress.add_task(f"posting {name}", total=left[name]) for name in left}
        while any(left.values()):
            moved = 0
            for name in [name for name, events in left.items() if events]:
                moved += post_some(connection, PROJECTIONS[name], crew, pages)
                now_left = behind(connection, PROJECTIONS[name])
                progress.advance(tasks[name], max(0, left[name] - now_left))
                left[name] = now_left
            crew.beat_if_due(connection)
            if not moved:
                time.sleep(POLL_SECONDS)  # workers are at all of them


def rebuild_now(settings: Settings, name: str, console: Console) -> list[dict[str, object]]:
    """Rebuild one projection or all, with a progress bar; return what was made of each."""
    if name != "all" and name not in PROJECTIONS:
        known = ", ".join(PROJECTIONS)
        raise ServiceError(f"There is no projection {name}: choose all or one of {known}.")
    chosen = PROJECTIONS.values() if name == "all" else [PROJECTIONS[name]]
    with services(settings) as found:
        migrate(found.database_url)
        with connected(found.database_url) as connection, Progress(console=console) as progress:
            return [rebuild_one(connection, one, found.keys, progress) for one in chosen]


def rebuild_one(
    connection: Connection[TupleRow], projection: Projection, keys: Keyring, progress: Progress
) -> dict[str, object]:
    """Rebuild one projection and return what is to be shown of it."""
    task = progress.add_task(f"rebuilding {projection.name}", total=None)
    started = time.monotonic()

    def report(position: int, end: int) -> None:
        progress.update(task, completed=position, total=end)

    rebuilt = rebuild_or_explain(connection, projection, report, keys)
    progress.update(task, completed=rebuilt.position, total=rebuilt.position)
    return {
        "name": projection.name,
        "position": rebuilt.position,
        "seconds": round(time.monotonic() - started, 2),
        "rows": {name: {"before": live, "now": new} for name, (live, new) in rebuilt.rows.items()},
    }


def rebuild_or_explain(
    connection: Connection[TupleRow],
    projection: Projection,
    report: Callable[[int, int], None],
    keys: Keyring,
) -> Rebuilt:
    """Rebuild; an event that cannot be applied is `ProjectionFailed`, and the old view stays."""
    try:
        return rebuild(connection, projection, report, keys)
    except (psycopg.OperationalError, psycopg.InterfaceError, RebuildRunning):
        raise
    except Exception as error:
        reason = f"the old view stays, as the new one cannot be made ({error})"
        raise ProjectionFailed(projection, reason) from error
