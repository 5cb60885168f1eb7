"""A whole run: a Daybook of its own, people who shop, faults on the way, and the judgement."""

import asyncio
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import psycopg

from tests.chaos.faults import Scene, inject
from tests.chaos.judge import judge
from tests.chaos.ledger import Ledger
from tests.chaos.parting import FarWorker
from tests.chaos.shoppers import Shop, shop
from tests.folders import folder_for_services
from tests.rabbitmq import Rabbitmq
from tests.stories.running import ADMIN_EMAIL, ADMIN_PASSWORD, Running

Plant = Literal["nothing", "lost", "twice"]

CAUGHT_UP_SECONDS = 90.0
UNFINISHED = """
select format('%s %s is %s behind, posted by %s: %s', c.name, c.partition, h.position - c.position,
              c.holder, c.failure)
  from projection_checkpoints c cross join log_head h
 where c.side = 'live' and c.position < h.position
 union all
select format('%s parked event %s: %s', name, position, error) from projection_failures
 union all
select format('rebuild %s of %s is %s', id, name, state) from projection_rebuilds
 where finished_at is null
"""
# A view that loses a change in ten, and one that counts an order in ten twice.
PLANTED = {
    "lost": """
        create function lose() returns trigger language plpgsql as
        $$ begin if random() < 0.1 then return null; end if; return new; end $$;
        create trigger lose before update on orders_v1 for each row execute function lose();
    """,
    "twice": """
        create function twice() returns trigger language plpgsql as
        $$ begin if random() < 0.1 then new.orders := new.orders + 1; end if; return new; end $$;
        create trigger twice before update on sales_by_day_v1 for each row execute function twice();
    """,
}


@dataclass(frozen=True)
class Plan:
    """How long, by how many, how often something is done, and which fault is planted."""

    seconds: float = 300.0
    shoppers: int = 8
    pause: float = 2.0
    seed: int = 1
    plant: Plant = "nothing"
    faults: bool = True
    parting: bool = False
    rabbitmq: bool = False


@dataclass
class Report:
    """What a run has shown; `broken` are the promises that were, with examples."""

    plan: Plan
    orders: int
    answers: Counter[str]
    faults: Counter[str]
    seconds_to_catch_up: float
    broken: dict[str, list[str]] = field(default_factory=dict)

    def lines(self) -> list[str]:
        """Return the report, line by line."""
        told = ", ".join(f"{count:,} x {name}" for name, count in sorted(self.answers.items()))
        lines = [
            f"{self.orders:,} orders of {self.plan.shoppers} shoppers acknowledged",
            f"{self.plan.seconds:,.0f} s, a fault every {self.plan.pause} s, seed {self.plan.seed}",
            f"answers: {told}",
            *(f"  {count:>5,} x {name}" for name, count in sorted(self.faults.items())),
            f"Everything had caught up {self.seconds_to_catch_up:.1f} s after the last fault.",
        ]
        if not self.broken:
            return [*lines, "Ledger, log and all views agree: every promise was kept."]
        lines.append("BROKEN:")
        for promise, examples in self.broken.items():
            lines += [f"  {promise}:", *(f"    {one}" for one in examples)]
        return lines


def run(plan: Plan, watch: Callable[[int, Counter[str]], None] = lambda _, __: None) -> Report:
    """Run a plan and judge; `watch` is told the orders and the faults so far."""
    with folder_for_services() as folder:
        daybook = Running(folder)
        daybook.environment |= {
            "DAYBOOK_API_PROCESSES": "2",
            "DAYBOOK_WORKER_PROCESSES": "2",
            "DAYBOOK_LOGIN_RATE_LIMIT": "off",
        }
        with ExitStack() as stack:
            scene = Scene(daybook, random.Random(plan.seed), plan.pause)  # noqa: S311 - a test's variety
            if plan.rabbitmq:
                scene.rabbitmq = Rabbitmq(made(folder / "rabbitmq"))
                stack.callback(scene.rabbitmq.stop)
                scene.rabbitmq.start()
                daybook.environment["DAYBOOK_BROKER_URL"] = scene.rabbitmq.url
            stack.callback(daybook.stop)
            daybook.start()
            if plan.parting:
                scene.far = FarWorker(
                    daybook, scene.address("database_url"), scene.address("redis_url")
                )
                stack.callback(scene.far.stop)
                scene.far.start()
            return tried(plan, scene, watch)


def made(folder: Path) -> Path:
    """Make a folder."""
    folder.mkdir()
    return folder


def tried(plan: Plan, scene: Scene, watch: Callable[[int, Counter[str]], None]) -> Report:
    """Let people shop among faults, then wait until all is quiet, and judge."""
    url = scene.address("database_url")
    if plan.plant != "nothing":
        with psycopg.connect(url) as connection:
            connection.execute(PLANTED[plan.plant].encode())
    ledger = Ledger()
    saboteur = threading.Thread(target=inject, args=(scene,), name="saboteur")
    if plan.faults:
        saboteur.start()
    try:
        asyncio.run(shopping(plan, scene.daybook.url, ledger, lambda: watch(*seen(ledger, scene))))
    finally:
        scene.stopping.set()
        if plan.faults:
            saboteur.join()
    if scene.failure:
        raise scene.failure
    began = time.monotonic()
    left = left_over(url)
    seconds = time.monotonic() - began
    with psycopg.connect(url, autocommit=True) as connection:
        broken = judge(connection, ledger)
    if left:
        broken["everything is done that was begun, without a hand"] = left
    return Report(plan, len(ledger.orders), ledger.answers, scene.counts, seconds, broken)


def seen(ledger: Ledger, scene: Scene) -> tuple[int, Counter[str]]:
    """Return the orders and the faults so far."""
    return len(ledger.orders), Counter(scene.counts)


async def shopping(plan: Plan, url: str, ledger: Ledger, watch: Callable[[], None]) -> None:
    """Let everybody shop for as long as the plan says, and finish what was begun."""
    place = Shop(url, ledger)
    try:
        await place.open(ADMIN_EMAIL, ADMIN_PASSWORD)
        until = time.monotonic() + plan.seconds
        chances = [random.Random(plan.seed * 1_000 + n) for n in range(plan.shoppers)]  # noqa: S311 - a test's variety
        at_work = asyncio.gather(*(shop(place, n, until, one) for n, one in enumerate(chances)))
        while not at_work.done():
            watch()
            await asyncio.wait([at_work], timeout=0.2)
        await at_work
    finally:
        await place.close()


def left_over(url: str) -> list[str]:
    """Wait until all is done that was begun; return what is not when that takes too long."""
    ends = time.monotonic() + CAUGHT_UP_SECONDS
    while True:
        try:
            with psycopg.connect(url, connect_timeout=2) as connection:
                left = [row[0] for row in connection.execute(UNFINISHED).fetchall()]
        except psycopg.Error as error:
            left = [str(error)]
        if not left or time.monotonic() > ends:
            return left
        time.sleep(0.1)
