"""One worker or builder to measure: takes its share, says that it is ready, works when told to."""

import os
import resource
import sys
import time

from daybook import garbage
from daybook.builder import NICE
from daybook.logs import configure_logs
from event_store.connections import connect
from projections.posting.engine import post_held
from projections.posting.leases import Crew
from projections.posting.pages import Pages
from projections.projection import PARTITIONS
from projections.rebuilds.rebuild import labour, unfinished
from projections.switched_on import PROJECTIONS


def say(word: str) -> None:
    """Say something to who measures."""
    print(word, flush=True)


def post(url: str, name: str, workers: int) -> None:
    """Post this worker's share of a view up to the log's end."""
    projection = PROJECTIONS[name]
    crew, pages = Crew([projection], seconds=60), Pages([projection])
    with connect(url, name="bench", statement_ms=600_000) as connection:
        crew.beat(connection)
        say("beating")
        sys.stdin.readline()
        while len(crew.leases(projection)) != PARTITIONS // workers:
            crew.beat(connection)
            time.sleep(0.02)
        say("ready")
        sys.stdin.readline()
        post_held(connection, projection, crew, pages)
        say("done")


def build(url: str, name: str) -> None:
    """Work on the rebuild that is under way until there is none; then say the peak memory."""
    os.nice(NICE)
    with (
        connect(url, name="bench", statement_ms=600_000) as connection,
        labour(connection, {name: PROJECTIONS[name]}) as at_work,
    ):
        say("beating")
        sys.stdin.readline()
        while unfinished(connection):
            if not at_work.step(connection):
                time.sleep(0.01)
    say(str(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024))


if __name__ == "__main__":
    configure_logs()
    if sys.argv[1] == "build":
        garbage.look_rarely(garbage.OF_STRETCHES)
        build(*sys.argv[2:4])
    else:
        garbage.look_rarely()
        post(sys.argv[2], sys.argv[3], int(sys.argv[4]))
