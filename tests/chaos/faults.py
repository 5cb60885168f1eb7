"""What is done to a running Daybook: killed, frozen, robbed of leases and messages, rebuilt."""

import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import httpx
import msgspec
import psutil
import psycopg
import redis

from daybook.wakeups.message import message_for
from daybook.wakeups.over_redis import make_broker
from projections.posting.leases import LEASE_SECONDS
from projections.switched_on import PROJECTIONS
from tests.chaos.parting import FarWorker
from tests.rabbitmq import Rabbitmq
from tests.stories.running import Running, data_of

WORKERS, API, POSTGRES, VALKEY = "daybook.worker", "serve --side", "postgres", "valkey"
STEAL = """
update projection_checkpoints set holder = null, held_since = null, token = token + 1
 where side = 'live' and random() < 0.5
"""


@dataclass
class Scene:
    """Where the faults happen; `failure` is what went wrong with making one."""

    daybook: Running
    chance: random.Random
    pause: float
    far: FarWorker | None = None
    rabbitmq: Rabbitmq | None = None
    stopping: threading.Event = field(default_factory=threading.Event)
    counts: Counter[str] = field(default_factory=Counter)
    failure: Exception | None = None

    def one_of(self, pattern: str) -> list[psutil.Process]:
        """Return one of Daybook's own processes of a kind, none if there is none just now."""
        found = self.daybook.processes(pattern)
        return [self.chance.choice(found)] if found else []

    def address(self, name: str) -> str:
        """Return where the database or the cache is."""
        notice = (self.daybook.folder / "var" / "run" / "services.json").read_bytes()
        return str(msgspec.json.decode(notice)[name])

    @property
    def moment(self) -> float:
        """Return for how long something is frozen."""
        return self.chance.uniform(0.3, 0.5 + 1.5 * self.pause)


def kill(victims: Sequence[psutil.Process]) -> None:
    """Kill processes, if they are still there."""
    for victim in victims:
        with suppress(psutil.Error):
            victim.kill()


def freeze(scene: Scene, victims: Sequence[psutil.Process]) -> None:
    """Freeze processes for a moment."""
    for victim in victims:
        with suppress(psutil.Error):
            victim.send_signal(signal.SIGSTOP)
    try:
        scene.stopping.wait(scene.moment)
    finally:
        for victim in victims:
            with suppress(psutil.Error):
                victim.send_signal(signal.SIGCONT)


def kill_worker(scene: Scene) -> None:
    """Kill a worker process."""
    kill(scene.one_of(WORKERS))


def freeze_worker(scene: Scene) -> None:
    """Freeze a worker process: it wakes up and must not write."""
    freeze(scene, scene.one_of(WORKERS))


def part_network(scene: Scene) -> None:
    """Let nothing pass between a worker and Postgres for longer than a lease, then all of it."""
    assert scene.far is not None
    with scene.far.parted():
        scene.stopping.wait(LEASE_SECONDS + scene.moment)
    scene.far.keep()


def restart_rabbitmq(scene: Scene) -> None:
    """Kill RabbitMQ, which carries the wake-ups, and start it again a moment later."""
    assert scene.rabbitmq is not None
    scene.rabbitmq.stop()
    scene.stopping.wait(scene.moment)
    scene.rabbitmq.start()


def kill_api(scene: Scene) -> None:
    """Kill an API process."""
    kill(scene.one_of(API))


def freeze_api(scene: Scene) -> None:
    """Freeze an API process."""
    freeze(scene, scene.one_of(API))


def kill_postgres(scene: Scene) -> None:
    """Kill one of Postgres's processes: it recovers, or the supervisor starts it again."""
    kill(scene.one_of(POSTGRES))


def freeze_postgres(scene: Scene) -> None:
    """Freeze all of Postgres."""
    freeze(scene, scene.daybook.processes(POSTGRES))


def kill_valkey(scene: Scene) -> None:
    """Kill Valkey: what it carried is gone."""
    kill(scene.one_of(VALKEY))


def freeze_valkey(scene: Scene) -> None:
    """Freeze Valkey."""
    freeze(scene, scene.daybook.processes(VALKEY))


def drop_messages(scene: Scene) -> None:
    """Drop every message, and whatever else is in Valkey."""
    with suppress(redis.RedisError), redis.Redis.from_url(scene.address("redis_url")) as client:
        client.flushall()


def double_messages(scene: Scene) -> None:
    """Send every wake-up ten times more."""
    broker = make_broker(scene.address("redis_url"))
    with suppress(redis.RedisError, ConnectionError):
        for name in [*PROJECTIONS] * 10:
            broker.enqueue(message_for(name))
    broker.client.close()


def steal_leases(scene: Scene) -> None:
    """Take about half of the partitions from whoever holds them."""
    with (
        suppress(psycopg.Error),
        psycopg.connect(scene.address("database_url"), connect_timeout=2) as connection,
    ):
        connection.execute(STEAL)


def rebuild(scene: Scene) -> None:
    """Have a view rebuilt, as an operator does over HTTP; a rebuild may be under way already."""
    name = scene.chance.choice(sorted(PROJECTIONS))
    with suppress(httpx.HTTPError, AssertionError, KeyError, ValueError):
        admin = scene.daybook.log_in()
        data_of(admin.post(f"/projections/{name}/rebuild", json={"reason": "chaos"}))


DECK: tuple[Callable[[Scene], None], ...] = (
    kill_worker,
    freeze_worker,
    kill_api,
    freeze_api,
    kill_postgres,
    freeze_postgres,
    kill_valkey,
    freeze_valkey,
    drop_messages,
    double_messages,
    steal_leases,
    rebuild,
    part_network,
    restart_rabbitmq,
)


def inject(scene: Scene) -> None:
    """Make one fault after the other, the deck shuffled anew each time, until stopped."""
    deck: list[Callable[[Scene], None]] = []
    while not scene.stopping.wait(scene.chance.expovariate(1 / scene.pause)):
        if not deck:
            absent = {part_network} if scene.far is None else set()
            absent |= {restart_rabbitmq} if scene.rabbitmq is None else set()
            deck = [one for one in DECK if one not in absent]
            scene.chance.shuffle(deck)
        fault = deck.pop()
        try:
            fault(scene)
        except Exception as error:  # noqa: BLE001 - the run ends with it
            scene.failure = error
            return
        scene.counts[fault.__name__] += 1
        time.sleep(0)
