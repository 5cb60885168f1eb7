"""What the database knows, for Prometheus: the same from whichever process is asked."""

from collections.abc import Iterator

import psycopg
import structlog
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from psycopg import Connection
from psycopg.rows import TupleRow

from event_store import reading
from event_store.connections import connect
from projections.status import statuses

STATEMENT_MS = 3_000

REACTIONS = """
select c.name, h.position - c.position, coalesce(f.parked, 0),
       coalesce(extract(epoch from clock_timestamp() - f.since), 0)::float8
  from reaction_checkpoints c
 cross join log_head h
  left join (
        select name, count(*) as parked, min(first_at) as since
          from reaction_failures where retry_at is null group by name
       ) f using (name)
 order by c.name
"""

log = structlog.get_logger(__name__)


class Facts(Collector):
    """Asks the database at each scrape; `daybook_database_up` is 0 while it gives no answer."""

    def __init__(self, database_url: str) -> None:
        self._database_url = database_url

    def collect(self) -> Iterator[Metric]:
        """Yield what is found."""
        up = GaugeMetricFamily("daybook_database_up", "Whether Postgres answers.")
        found: list[Metric] = []
        try:
            with connect(
                self._database_url, name="daybook metrics", statement_ms=STATEMENT_MS
            ) as connection:
                found = of_log(connection)
                found += of_projections(connection) + of_reactions(connection)
        except psycopg.Error as error:
            log.warning("no_facts", error=type(error).__name__)
        up.add_metric([], 1.0 if found else 0.0)
        yield up
        yield from found


def of_log(connection: Connection[TupleRow]) -> list[Metric]:
    """Return how many events were appended: positions have no gaps."""
    appended = CounterMetricFamily("daybook_event_appends", "Events in the log.")
    appended.add_metric([], reading.head(connection))
    return [appended]


def of_projections(connection: Connection[TupleRow]) -> list[Metric]:
    """Return how far the views are behind the log."""
    labels = ["projection"]
    events = GaugeMetricFamily(
        "daybook_projection_lag_events", "Events that a view has yet to post.", labels=labels
    )
    seconds = GaugeMetricFamily(
        "daybook_projection_lag_seconds",
        "How long the oldest event that a view has yet to post has been in the log.",
        labels=labels,
    )
    position = GaugeMetricFamily(
        "daybook_projection_position", "The last event that a view has posted.", labels=labels
    )
    failed = GaugeMetricFamily(
        "daybook_projection_failed", "Whether a view stands still over an error.", labels=labels
    )
    for one in statuses(connection):
        events.add_metric([one.name], one.events)
        seconds.add_metric([one.name], one.seconds)
        position.add_metric([one.name], one.position)
        failed.add_metric([one.name], one.failure is not None)
    return [events, seconds, position, failed]


def of_reactions(connection: Connection[TupleRow]) -> list[Metric]:
    """Return how far the reactions are behind the log, and what they have given up on."""
    lag = GaugeMetricFamily(
        "daybook_reaction_lag_events", "Events that a reaction has yet to see.", labels=["reaction"]
    )
    letters, oldest = dead_letters()
    for name, behind, parked, since in connection.execute(REACTIONS).fetchall():
        lag.add_metric([name], behind)
        letters.add_metric(["reaction", name], parked)
        oldest.add_metric(["reaction", name], since)
    return [lag, letters, oldest]


def dead_letters() -> tuple[GaugeMetricFamily, GaugeMetricFamily]:
    """Return the two families about events that were given up on."""
    labels = ["kind", "name"]
    letters = GaugeMetricFamily(
        "daybook_dead_letters", "Events that wait for an operator.", labels=labels
    )
    oldest = GaugeMetricFamily(
        "daybook_oldest_dead_letter_seconds", "For how long the oldest waits.", labels=labels
    )
    return letters, oldest
