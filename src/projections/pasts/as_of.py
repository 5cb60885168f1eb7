"""One row of a view as it was: folded from the events of its stream, by the view's own fold."""

from collections.abc import Iterable
from uuid import UUID

import msgspec
from sqlalchemy import Table
from sqlalchemy.dialects.postgresql import JSONB

from event_store.records import Recorded
from projections.projection import Projection, Row, Rows, fold_page


def row_of_stream(
    projection: Projection, table: Table, key: UUID, events: Iterable[Recorded]
) -> Row | None:
    """Return the row of a stream that some of its first events make, as the database would have it.

    For views in which a row is made of the events of its own stream alone.
    """
    ours = (one for one in events if type(one.event) in projection.event_types)
    row = fold_page(projection, Rows(), ours).find(table, key)
    if row is None:
        return None
    texts = {column.name for column in table.columns if isinstance(column.type, JSONB)}
    return {name: as_text(value) if name in texts else value for name, value in row.items()}


def as_text(value: object) -> str | None:
    """Return a column of JSON as its readers get it."""
    return None if value is None else msgspec.json.encode(value).decode()
