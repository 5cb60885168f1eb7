"""A whole run: a server of its own, the crew at work, faults on the way, and the judgement."""

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import psycopg

from daybook.migrate import migrate
from tests.folders import folder_for_services
from tests.oracle import unlocked, unsafe
from tests.oracle.crew import Crew, Unfinished
from tests.oracle.faults import DECK, Scene, inject
from tests.oracle.judge import Judgement, judge, judge_readers
from tests.oracle.ledger import Ledger
from tests.oracle.plan import Plan
from tests.oracle.report import Report
from tests.oracle.seen import Seen
from tests.oracle.server import Server, own_postgres
from tests.stories.running import wait_until

LOOK_SECONDS = 0.1
BACK_SECONDS = 60.0
EVERY_FAULT = {fault.__name__ for fault in DECK}
NEWEST = "select coalesce(max(position), 0) from events"

UNSAFE_NEWEST = "select coalesce(max(notification_id), 0) from stored_events"
UNSAFE_RUNS = """
select min(notification_id), max(notification_id), count(*)
  from (select notification_id,
               notification_id - row_number() over (order by notification_id) as island
          from stored_events) e
 group by island order by 1
"""

Watch = Callable[[int, dict[str, int]], None]


def run(plan: Plan, watch: Watch = lambda _, __: None) -> Report:
    """Run a plan and judge; `watch` is told the events acknowledged and the faults so far."""
    with folder_for_services() as folder, own_postgres(folder) as server:
        migrate(server.url)
        if plan.recorder == "unlocked":
            unlocked.prepare(server.url)
        if plan.recorder == "unsafe":
            unsafe.prepare(server.url)
        began = time.monotonic()
        with Crew(plan, server.url, folder) as crew:
            with sabotage(plan, server, crew, folder) as scene:
                work(crew, scene, watch)
                seconds = time.monotonic() - began
            crew.finish_writers()
            crew.finish_readers(newest(plan, server))
        found = judgement(plan, server, folder)
        return Report(plan, found, dict(scene.counts), scene.silences, seconds, crew.acknowledged)


@contextmanager
def sabotage(plan: Plan, server: Server, crew: Crew, folder: Path) -> Iterator[Scene]:
    """Inject faults while the block lasts, and wait for the server then; rivals are spared."""
    chance = random.Random(plan.seed)  # noqa: S311 - a test's variety
    with Ledger(folder, plan.writers) as ledger:
        scene = Scene(server, crew, ledger, chance)
        saboteur = threading.Thread(target=inject, args=(scene,), name="saboteur")
        if plan.recorder == "daybook":
            saboteur.start()
        try:
            yield scene
        finally:
            scene.stopping.set()
            if plan.recorder == "daybook":
                saboteur.join()
    wait_until(server.answers, BACK_SECONDS)


def work(crew: Crew, scene: Scene, watch: Watch) -> None:
    """Wait until there are enough events, and every fault has happened. Raises `Unfinished`."""
    ends = time.monotonic() + crew.plan.seconds
    wanted = EVERY_FAULT if crew.plan.recorder == "daybook" else set()
    while time.monotonic() < ends:
        crew.check()
        if scene.failure:
            raise Unfinished(f"A fault could not be made: {scene.failure}") from scene.failure
        watch(crew.acknowledged, dict(scene.counts))
        if crew.acknowledged >= crew.plan.events and wanted <= scene.counts.keys():
            return
        time.sleep(LOOK_SECONDS)


def newest(plan: Plan, server: Server) -> int:
    """Return the newest position there is."""
    query = UNSAFE_NEWEST if plan.recorder == "unsafe" else NEWEST
    with server.connect() as connection:
        return int(str(connection.execute(query.encode()).fetchone()[0]))


def judgement(plan: Plan, server: Server, folder: Path) -> Judgement:
    """Judge what the run has left."""
    seen = [
        msgspec.json.decode((folder / f"seen-{number}").read_bytes(), type=Seen)
        for number in range(plan.readers)
    ]
    with psycopg.connect(server.url, autocommit=True) as connection:
        if plan.recorder == "unsafe":
            return judge_readers(connection, UNSAFE_RUNS, seen)
        return judge(connection, folder, seen)
