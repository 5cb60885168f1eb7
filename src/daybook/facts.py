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
from projections.posting.status import statuses, workers
from projections.rebuilds.jobs import unfinished

STATEMENT_MS = 3_000

REACTIONS = """
select c.name, h.position - c.position, coalesce(f.parked, 0),
       coalesce(extract(epoch from clock_timestamp() - f.since), 0)::float8,
       c.failure is not null
  from reaction_checkpoints c
 cross join log_head h
  left join (
        select name, count(*) as parked, min(first_at) as since
          from reaction_failures where retry_at is null group by name
       ) f using (name)
 order by c.name
"""

PARKED = """
select v.name, (select count(distinct (p.key, p.position)) from projection_parked p
                 where p.name = v.name and p.side = 'live'),
       coalesce((select extract(epoch from clock_timestamp() - min(f.first_at))
                   from projection_failures f
                  where f.name = v.name and f.side = 'live'), 0)::float8
  from (select distinct name from projection_versions) v
 order by v.name
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
                found += of_projections(connection) + of_rebuilds(connection)
                found += of_reactions(connection) + dead_letters(connection)
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
    paused = GaugeMetricFamily(
        "daybook_projection_paused", "Whether an operator lets a view stand still.", labels=labels
    )
    for one in statuses(connection):
        events.add_metric([one.name], one.events)
        seconds.add_metric([one.name], one.seconds)
        position.add_metric([one.name], one.position)
        failed.add_metric([one.name], one.failure is not None)
        paused.add_metric([one.name], one.paused)
    alive = GaugeMetricFamily("daybook_workers", "Worker processes that are alive.")
    alive.add_metric([], len(workers(connection)))
    return [events, seconds, position, failed, paused, alive]


def of_rebuilds(connection: Connection[TupleRow]) -> list[Metric]:
    """Return how far rebuilds under way are, from 0 to 1; there is no sample without one."""
    progress = GaugeMetricFamily(
        "daybook_projection_rebuild_progress",
        "How much of the log a rebuild has folded.",
        labels=["projection"],
    )
    for job in unfinished(connection):
        progress.add_metric([job.name], job.position / job.target if job.target else 1.0)
    return [progress]


def of_reactions(connection: Connection[TupleRow]) -> list[Metric]:
    """Return how far the reactions are behind the log, and whether they wait for something."""
    lag = GaugeMetricFamily(
        "daybook_reaction_lag_events", "Events that a reaction has yet to see.", labels=["reaction"]
    )
    waiting = GaugeMetricFamily(
        "daybook_reaction_waiting",
        "Whether a reaction waits for a mail server, Redis, a release or a key.",
        labels=["reaction"],
    )
    for name, behind, _, _, waits in connection.execute(REACTIONS).fetchall():
        lag.add_metric([name], behind)
        waiting.add_metric([name], waits)
    return [lag, waiting]


def dead_letters(connection: Connection[TupleRow]) -> list[Metric]:
    """Return how many events wait for an operator, and for how long."""
    labels = ["kind", "name"]
    letters = GaugeMetricFamily(
        "daybook_dead_letters", "Events that wait for an operator.", labels=labels
    )
    oldest = GaugeMetricFamily(
        "daybook_oldest_dead_letter_seconds", "For how long the oldest waits.", labels=labels
    )
    for name, parked, since in connection.execute(PARKED).fetchall():
        letters.add_metric(["projection", name], parked)
        oldest.add_metric(["projection", name], since)
    for name, _, parked, since, _ in connection.execute(REACTIONS).fetchall():
        letters.add_metric(["reaction", name], parked)
        oldest.add_metric(["reaction", name], since)
    return [letters, oldest]
