"""Going back to the tables from before the last swap, and dropping them."""

import msgspec
from psycopg import Connection
from psycopg.rows import TupleRow

from event_store.privacy.keyring import NO_KEYS, Keyring
from projections.posting.leases import joined
from projections.posting.pages import PAGE, Pages
from projections.posting.post_page import post_page
from projections.posting.progress import tell
from projections.projection import Projection
from projections.rebuilds.comparing import summed
from projections.rebuilds.jobs import RebuildRunning, unfinished
from projections.rebuilds.once import standings
from projections.rebuilds.swapping import TooFarBehind, drop_older, drop_retired, swap_patiently


class Rebuilt(msgspec.Struct, frozen=True):
    """What a rebuild made: events passed, and rows by table before and after."""

    position: int
    rows: dict[str, tuple[int | None, int]]


def rollback(
    connection: Connection[TupleRow], projection: Projection, keys: Keyring = NO_KEYS
) -> Rebuilt:
    """Bring the tables that the last swap retired up to date, and swap them back in.

    `LookupError` if there are none, `RebuildRunning` while the projection is being rebuilt.
    """
    if any(job.name == projection.name for job in unfinished(connection)):
        raise RebuildRunning(f"Projection {projection.name} is being rebuilt.")
    if not standings(connection, projection, "retired"):
        raise LookupError(f"There is nothing that {projection.name} could be rolled back to.")
    pages = Pages([projection], keys)
    while True:
        with joined(connection, [projection], "retired") as crew:
            leases = crew.leases(projection, "retired")
            while (
                leases and post_page(connection, projection, leases, pages, "retired") > PAGE // 4
            ):
                crew.beat_if_due(connection)
        try:
            position, _ = swap_patiently(connection, projection, "retired", keys)
        except TooFarBehind:
            continue
        tell(connection, projection)
        rows: dict[str, tuple[int | None, int]] = {
            str(table.name): (
                summed(connection, table, "retired")[0],
                summed(connection, table, "live")[0],
            )
            for table in projection.tables
        }
        return Rebuilt(position, rows)


def prune(connection: Connection[TupleRow], projection: Projection) -> int:
    """Drop the tables that swaps retired, older versions too; return how many there were."""
    with connection.transaction():
        return drop_retired(connection, projection) + drop_older(connection, projection)
