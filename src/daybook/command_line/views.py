"""The views from the command line: where they stand, bringing them up to date, making them anew."""

import time

from psycopg import Connection
from psycopg.rows import TupleRow
from rich.console import Console
from rich.progress import Progress

from event_store.connections import connect
from event_store.privacy.keyring import Keyring
from projections.posting.engine import behind, post_some
from projections.posting.leases import joined
from projections.posting.pages import Pages
from projections.posting.status import statuses
from projections.switched_on import PROJECTIONS

STATEMENT_MS = 600_000
POLL_SECONDS = 0.1


def connected(database_url: str) -> Connection[TupleRow]:
    """Open a connection on which a statement may take minutes."""
    return connect(database_url, name="daybook operator", statement_ms=STATEMENT_MS)


def catch_up_all(database_url: str, keys: Keyring, console: Console) -> None:
    """Post every view that is not paused to the log's end, together with the workers."""
    pages = Pages(PROJECTIONS.values(), keys)
    with (
        connected(database_url) as connection,
        joined(connection, PROJECTIONS.values()) as crew,
        Progress(console=console) as progress,
    ):
        paused = {one.name for one in statuses(connection) if one.paused}
        left = {
            name: behind(connection, one) for name, one in PROJECTIONS.items() if name not in paused
        }
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
