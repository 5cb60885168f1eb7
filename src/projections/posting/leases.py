"""Who posts which partitions of which views: workers, their heart-beats, leases and tokens.

A lease is the holder's name in a checkpoint, for as long as the holder is alive: it has been heard
of within some seconds of the database's clock, and its session exists. What makes it safe is not
that but the token: whoever takes a partition over raises it, and nothing is committed under an
older one (`move_partitions`). So a worker that was frozen and wakes up can write nothing.
"""

import os
import secrets
import socket
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import ceil
from typing import NamedTuple

from psycopg import Connection
from psycopg.rows import TupleRow, class_row

from projections.projection import Projection
from projections.sides import Side

LEASE_SECONDS = 3.0
BEAT_SECONDS = 1.0
# After so many deaths without progress, whatever they were of, events are tried one by one for the
# length of the page that was being posted. What a builder was at may be longer than a page: it goes
# on page by page after the first death.
CAREFUL_CRASHES = 2
CAREFUL_STRETCH = 2_000
BUILDERS_STRETCH = 500_000

BEAT = """
insert into projection_workers as w
       (worker, host, process, backend, backend_start, posts, seen_at, expires_at)
select %(worker)s, %(host)s, %(process)s, a.pid, a.backend_start, %(posts)s,
       clock_timestamp(), clock_timestamp() + make_interval(secs => %(seconds)s)
  from pg_stat_get_activity(pg_backend_pid()) a
    on conflict (worker) do update
   set backend = excluded.backend, backend_start = excluded.backend_start,
       posts = excluded.posts, seen_at = excluded.seen_at, expires_at = excluded.expires_at
"""

BURY = """
delete from projection_workers w
 where w.expires_at < clock_timestamp() - interval '1 minute'
   and not exists (select from projection_checkpoints c where c.holder = w.worker)
"""

COLLEAGUES = "select posts from projection_workers_alive"

# `crashed`: the holder's session has gone while there was something to post, and not because the
# server began anew since it was heard of: that ends all sessions, and resets these statistics.
SEEN = """
select c.name, c.version, c.side, c.partition, c.holder, c.token, c.position,
       c.crashes, c.careful_until, c.deaths, v.paused_at is not null as paused,
       exists (select from projection_workers_alive w where w.worker = c.holder) as held,
       c.holder is not null and c.position < h.position and not exists (
            select from projection_workers w
              join pg_stat_get_activity(w.backend) a
                on coalesce(a.backend_start = w.backend_start, true)
             where w.worker = c.holder
       ) and exists (
            select from projection_workers w, pg_stat_bgwriter s
             where w.worker = c.holder
               and w.seen_at > greatest(pg_postmaster_start_time(), s.stats_reset)
       ) as crashed
  from projection_checkpoints c
  join projection_versions v using (name, version)
 cross join log_head h
 where c.name = any(%(names)s) and c.side = any(%(sides)s)
 order by c.name, c.version, c.side, c.partition
"""

TAKE = """
update projection_checkpoints c
   set holder = %(worker)s, token = c.token + 1, held_since = clock_timestamp(),
       crashes = c.crashes + %(crashed)s,
       careful_until = case when %(crashed)s = 1 and c.crashes + 1 = %(careful)s
                            then c.position + %(stretch)s
                            when %(crashed)s = 1 and c.crashes = 0 and c.side = 'building'
                            then c.position + %(builders)s
                            else c.careful_until end,
       deaths = c.deaths + case when c.trying = c.position then %(crashed)s else 0 end,
       trying = null
 where (c.name, c.version, c.side, c.partition) in (
        select name, version, side, partition from projection_checkpoints
         where name = %(name)s and version = %(version)s and side = %(side)s
           and partition = %(partition)s and token = %(token)s
           for update skip locked
       )
returning token, position, crashes, careful_until, deaths
"""

GIVE_BACK = """
update projection_checkpoints set holder = null, held_since = null, token = token + 1
 where name = %s and version = %s and side = %s and partition = %s and holder = %s
"""

PARKED = """
select partition, key from projection_failures
 where name = %s and version = %s and side = %s and partition = any(%s)
"""


class Seen(NamedTuple):
    """A checkpoint as a worker finds it."""

    name: str
    version: int
    side: Side
    partition: int
    holder: str | None
    token: int
    position: int
    crashes: int
    careful_until: int
    deaths: int
    paused: bool
    held: bool
    crashed: bool


@dataclass
class Lease:
    """One partition that this worker holds, and what it knows of it as long as the token is valid.

    `parked` are the keys of which events wait. `crashes` counts the workers that died since the
    last progress, `deaths` those of them that died while they tried the next event alone.
    """

    partition: int
    token: int
    position: int
    crashes: int = 0
    careful_until: int = 0
    deaths: int = 0
    parked: set[str] = field(default_factory=set)


Kind = tuple[str, int, Side]


class LeaseLost(Exception):  # noqa: N818 - reads as what happened
    """Somebody else holds the partition now, or has changed something about it."""


class Crew:
    """One worker among any number: it beats, takes its fair share, and gives back what is more.

    Safe to use from several threads; each partition is to be posted by one of them at a time.
    """

    def __init__(
        self,
        projections: Iterable[Projection],
        side: Side = "live",
        *,
        seconds: float = LEASE_SECONDS,
        greedy: bool = False,
        has_heart: bool = False,
    ) -> None:
        """`greedy`: take all that nobody holds, fair or not.

        `has_heart`: a thread beats, over a connection kept for it; those who post do not. So the
        worker is not taken for dead when a posting fails, nor for alive when one is stuck.
        """
        self.host, self.process = socket.gethostname(), os.getpid()
        self.worker = f"{self.host}:{self.process}:{secrets.token_hex(4)}"
        self._has_heart = has_heart
        self._went_on_at: dict[str, float] = {}
        self._kinds: list[Kind] = [(one.name, one.version, side) for one in projections]
        self._side, self._seconds, self._greedy = side, seconds, greedy
        self._leases: dict[Kind, list[Lease]] = {}
        self._lock = threading.Lock()
        self._beaten_at = 0.0
        self._has_left = False

    def went_on(self, connection: Connection[TupleRow], name: str) -> None:
        """Note that the posting of a view got ahead; say so unless there is a heart that does."""
        self._went_on_at[name] = time.monotonic()
        if not self._has_heart:
            self.beat_if_due(connection)

    def went_on_at(self, name: str) -> float:
        """Return when the posting of a view last got ahead (0: never)."""
        return self._went_on_at.get(name, 0)

    def beat_if_due(self, connection: Connection[TupleRow]) -> None:
        """Beat if the last time was a second ago."""
        if self.is_due():
            self.beat(connection)

    def is_due(self) -> bool:
        """Tell whether the last time was a second ago."""
        return time.monotonic() - self._beaten_at > BEAT_SECONDS

    def beat(self, connection: Connection[TupleRow]) -> None:
        """Say that this worker is alive, then take and give back partitions."""
        values = {
            "worker": self.worker,
            "host": self.host,
            "process": self.process,
            "seconds": self._seconds,
            "posts": [] if self._greedy else [describe(kind) for kind in self._kinds],
        }
        with self._lock:
            if self._has_left:
                return
            connection.execute(BEAT, values, prepare=True)
            connection.execute(BURY, prepare=True)
            self._share(connection)
            self._beaten_at = time.monotonic()

    def look_again(self, connection: Connection[TupleRow], projection: Projection) -> None:
        """Forget what was known of a view's partitions and learn it anew: some of it was wrong.

        Even under a token that is still valid: who did not hear of a commit has an old position.
        To be called by whoever posts the view. Does not say that this worker is alive.
        """
        with self._lock:
            self._leases.pop((projection.name, projection.version, self._side), None)
            if not self._has_left:
                self._share(connection)

    def leases(self, projection: Projection, side: Side = "live") -> list[Lease]:
        """Return the partitions of a view that this worker holds."""
        return list(self._leases.get((projection.name, projection.version, side), []))

    def leave(self, connection: Connection[TupleRow]) -> None:
        """Give everything back, for good."""
        with self._lock:
            self._has_left = True
            for kind, leases in self._leases.items():
                for lease in leases:
                    self._give_back(connection, kind, lease.partition)
            self._leases.clear()
            connection.execute("delete from projection_workers where worker = %s", [self.worker])

    def _share(self, connection: Connection[TupleRow]) -> None:
        names = [name for name, _, _ in self._kinds]
        with connection.cursor(row_factory=class_row(Seen)) as cursor:
            values = {"names": names, "sides": [self._side]}
            seen = cursor.execute(SEEN, values, prepare=True).fetchall()
        colleagues = connection.execute(COLLEAGUES, prepare=True).fetchall()
        for kind in self._kinds:
            of_kind = [one for one in seen if (one.name, one.version, one.side) == kind]
            posting = sum(describe(kind) in posts for (posts,) in colleagues)
            self._share_one(connection, kind, of_kind, max(1, posting))

    def _share_one(
        self, connection: Connection[TupleRow], kind: Kind, seen: Sequence[Seen], posting: int
    ) -> None:
        fair = len(seen) if self._greedy else ceil(len(seen) / posting)
        if any(one.paused for one in seen):
            fair = 0
        mine = [one for one in seen if one.holder == self.worker]
        for one in mine[fair:]:
            self._give_back(connection, kind, one.partition)
        kept = mine[:fair]
        free = [one for one in seen if not one.held and one.holder != self.worker]
        for one in free:  # more of them, if a colleague is faster with the first
            if len(kept) < fair:
                kept += self._take(connection, one)
        self._leases[kind] = self._known(connection, kind, kept)

    def _take(self, connection: Connection[TupleRow], one: Seen) -> list[Seen]:
        values = {
            **one._asdict(),
            "worker": self.worker,
            "crashed": int(one.crashed),
            "careful": CAREFUL_CRASHES,
            "stretch": CAREFUL_STRETCH,
            "builders": BUILDERS_STRETCH,
        }
        taken = connection.execute(TAKE, values, prepare=True).fetchone()
        if taken is None:
            return []
        names = ("token", "position", "crashes", "careful_until", "deaths")
        return [one._replace(**dict(zip(names, taken, strict=True)))]

    def _give_back(self, connection: Connection[TupleRow], kind: Kind, partition: int) -> None:
        connection.execute(GIVE_BACK, [*kind, partition, self.worker], prepare=True)

    def _known(
        self, connection: Connection[TupleRow], kind: Kind, kept: Sequence[Seen]
    ) -> list[Lease]:
        """Keep what is known under tokens that are still valid, and learn the rest."""
        known = {(one.partition, one.token): one for one in self._leases.get(kind, [])}
        leases = [known.get((one.partition, one.token)) or lease_of(one) for one in kept]
        new = {one.partition: one for one in leases if (one.partition, one.token) not in known}
        if new:
            values = [*kind, list(new)]
            for partition, key in connection.execute(PARKED, values, prepare=True).fetchall():
                new[partition].parked.add(key)
        return sorted(leases, key=lambda one: one.partition)


def lease_of(seen: Seen) -> Lease:
    """Return the lease of a checkpoint that has just been found or taken."""
    return Lease(
        seen.partition, seen.token, seen.position, seen.crashes, seen.careful_until, seen.deaths
    )


def describe(kind: Kind) -> str:
    """Write what a worker posts, for its colleagues to count."""
    name, version, side = kind
    return f"{name} {version} {side}"


@contextmanager
def joined(
    connection: Connection[TupleRow], projections: Iterable[Projection], side: Side = "live"
) -> Iterator[Crew]:
    """Take, for the length of a block, whatever partitions nobody holds."""
    crew = Crew(projections, side, seconds=60, greedy=True)
    crew.beat(connection)
    try:
        yield crew
    finally:
        if not connection.closed:
            crew.leave(connection)
