"""What Postgres makes of the log by itself: sums, and the rows of streams with one event."""

from collections.abc import Sequence
from datetime import datetime

from psycopg import Connection
from psycopg.rows import TupleRow

from projections.posting.openings_sql import open_rows
from projections.posting.sums_sql import Addition, Stretch, add_up
from projections.projection import Projection
from projections.sides import Past, Side


def make_rows(  # noqa: PLR0913, PLR0917 - of which events, and where they go
    connection: Connection[TupleRow],
    projection: Projection,
    stretches: Sequence[Stretch],
    upto: int,
    side: Side | Past,
    happened: datetime | None = None,
) -> None:
    """Make what can be made of some stretches; streams count as they are up to `upto`.

    `happened`: of what had happened by then.
    """
    if projection.sums:
        add_up(connection, Addition(projection, stretches), side, happened)
    if projection.opening:
        open_rows(connection, projection.opening, stretches, upto, side, happened)
