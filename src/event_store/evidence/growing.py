"""Growing the tree behind the log, off the request path: a page of events, one transaction."""

from psycopg import Connection
from psycopg.rows import TupleRow

from event_store import reading
from event_store.evidence.edge import Edge, edge_tiles
from event_store.evidence.leaves import leaves
from event_store.evidence.tiles import read_tiles, write_tiles

PAGE = 20_000

# The row lock is the lease, as for a view: it ends with the transaction.
TAKE = "select size from log_tree for update skip locked"
SIZE = "select size from log_tree"
MOVE = "update log_tree set size = %s where size = %s"


class LogIncomplete(Exception):  # noqa: N818 - reads as what was found
    """Positions are missing in the log, or there twice: the tree does not grow over them."""


def size_of(connection: Connection[TupleRow]) -> int:
    """Return how many events the tree covers."""
    row = connection.execute(SIZE).fetchone()
    assert row is not None  # noqa: S101 - the migration makes the one row
    return int(row[0])


def grow(connection: Connection[TupleRow]) -> int:
    """Let the tree catch up with the log; return by how many events it grew.

    Returns at once if another process is at it. Raises `LogIncomplete`, `TreeDamaged`.
    """
    grown = 0
    while step := grow_page(connection):
        grown += step
        if step < PAGE:
            break
    return grown


def grow_page(connection: Connection[TupleRow]) -> int:
    """Add the next events to the tree, all or nothing; return how many."""
    with connection.transaction():
        row = connection.execute(TAKE, prepare=True).fetchone()
        if row is None:
            return 0
        size = int(row[0])
        upto = min(reading.head(connection), size + PAGE)
        if upto <= size:
            return 0
        found = leaves(connection, size, upto)
        if len(found) != upto - size:
            raise LogIncomplete(
                f"There are {len(found)} events after position {size} up to {upto}."
            )
        edge = edge_at(connection, size)
        full = edge.add(found)
        write_tiles(connection, full | edge.open_tiles())
        connection.execute(MOVE, [upto, size])
        return upto - size


def edge_at(connection: Connection[TupleRow], size: int) -> Edge:
    """Return the right edge of the stored tree when it had so many leaves."""
    return Edge.of(size, read_tiles(connection, edge_tiles(size)))
