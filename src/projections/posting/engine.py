"""The road from the log to a view: page after page, up to the log's end."""

import time

import structlog
from psycopg import Connection
from psycopg.rows import TupleRow

from projections.posting import pages as pages_of_the_log
from projections.posting.leases import Crew, LeaseLost, joined
from projections.posting.pages import Pages
from projections.posting.post_page import post_page
from projections.projection import Projection

# Events that come in a flood are cheaper by the page: so many at once, and the next page may grow.
MANY = 150
LINGER_SECONDS = 0.05

log = structlog.get_logger(__name__)

BEHIND = """
select h.position - min(c.position)
  from log_head h, projection_versions v
  join projection_checkpoints c on c.name = v.name and c.version = v.serves and c.side = 'live'
 where v.name = %s and v.version = %s
 group by h.position
"""


def catch_up(connection: Connection[TupleRow], projection: Projection, pages: Pages) -> int:
    """Post the log to a view up to its end; return how far the view has come in this call.

    Posts what nobody holds; returns at once if workers hold all of it.
    """
    with joined(connection, [projection]) as crew:
        return post_held(connection, projection, crew, pages)


def behind(connection: Connection[TupleRow], projection: Projection) -> int:
    """Return by how many events a view is behind the log."""
    values = [projection.name, projection.version]
    row = connection.execute(BEHIND, values, prepare=True).fetchone()
    if row is None:
        message = f"There is no checkpoint of {projection.name} version {projection.version}."
        raise LookupError(message)
    return int(row[0])


def post_held(
    connection: Connection[TupleRow], projection: Projection, crew: Crew, pages: Pages
) -> int:
    """Post the partitions that a worker holds up to the log's end; return how far they have come.

    It looks at the log's end again after each commit, so news in between is never left to lie.
    """
    if not crew.leases(projection):
        behind(connection, projection)  # raises if there is no such view
    leases = crew.leases(projection)
    before = min((one.position for one in leases), default=0)
    while step := post_some(connection, projection, crew, pages):
        crew.went_on(connection, projection.name)
        if MANY <= step < pages_of_the_log.PAGE:
            time.sleep(LINGER_SECONDS)
    return min((one.position for one in leases), default=0) - before


def post_some(
    connection: Connection[TupleRow], projection: Projection, crew: Crew, pages: Pages
) -> int:
    """Post the next page of what a worker holds; return how many positions were passed, 0: none.

    What was taken over, or changed by an operator, is looked at anew.
    """
    while leases := crew.leases(projection):
        try:
            return post_page(connection, projection, leases, pages)
        except LeaseLost:
            log.info("lease_lost", projection=projection.name)
            crew.look_again(connection, projection)
    return 0
