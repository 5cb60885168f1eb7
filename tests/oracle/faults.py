"""What is done to a run: processes killed and frozen, sessions that forget their transaction."""

import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from uuid import UUID

import psycopg

from event_store.append_sql import CALL, arguments
from event_store.connections import connect
from tests.oracle.crew import Crew
from tests.oracle.ledger import Ledger
from tests.oracle.requests import Request, command_id, command_of, fresh
from tests.oracle.server import Server, frozen, signalled

APPENDERS, ANYBODY = "daybook append", "%"
RECOVERY_SECONDS = 60.0
PATIENCE = "select set_config('idle_in_transaction_session_timeout', %s, false)"
ENDED = (psycopg.OperationalError, psycopg.errors.IdleInTransactionSessionTimeout)


@dataclass
class Scene:
    """Where the faults happen. `silences`: the seconds without an answer after each kind."""

    server: Server
    crew: Crew
    ledger: Ledger
    chance: random.Random
    stopping: threading.Event = field(default_factory=threading.Event)
    counts: Counter[str] = field(default_factory=Counter)
    silences: dict[str, float] = field(default_factory=dict)
    asked: int = 0
    failure: Exception | None = None

    @property
    def longest(self) -> float:
        """Return the longest time that something is held up, in seconds."""
        return 0.4 + 1.6 * self.crew.plan.pause


def kill_writer(scene: Scene) -> None:
    """Kill a writer with SIGKILL."""
    number = scene.chance.randrange(scene.crew.plan.writers)
    scene.crew.kill_writer(number, scene.chance.uniform(0, 0.3))


def kill_backend(scene: Scene) -> None:
    """Kill a server process: Postgres ends all others and recovers."""
    signalled(scene.chance.choice(scene.server.backends(APPENDERS)), signal.SIGKILL)


def kill_postmaster(scene: Scene) -> None:
    """Kill the server's first process: the supervisor starts it again."""
    signalled(scene.server.postmaster, signal.SIGKILL)


def hang_up_everybody(scene: Scene) -> None:
    """End every session."""
    for pid in scene.server.backends(ANYBODY):
        signalled(pid, signal.SIGTERM)


def freeze_appender(scene: Scene) -> None:
    """Freeze a server process in the middle of its work; it may hold the head of the log."""
    with frozen([scene.chance.choice(scene.server.backends(APPENDERS))]):
        time.sleep(scene.chance.uniform(0.3, scene.longest))


def freeze_server(scene: Scene) -> None:
    """Freeze the whole server."""
    with frozen([scene.server.postmaster, *scene.server.backends(ANYBODY)]):
        time.sleep(scene.chance.uniform(0.3, scene.longest))


def forget_lock(scene: Scene) -> None:
    """Leave a session idle in a transaction that holds the head; the server ends it."""
    forget(scene, "select from log_head for update")


def forget_append(scene: Scene) -> None:
    """Leave a session idle in a transaction that has appended; the server ends it."""
    command = unwanted(scene)
    forget(scene, CALL, arguments([command_of(*command, {})]))
    scene.ledger.tell(command[1], "rolled back")


def roll_back(scene: Scene) -> None:
    """Append in a transaction that is rolled back."""
    command = unwanted(scene)
    with (
        connect(scene.server.url, name="oracle") as connection,
        connection.transaction(force_rollback=True),
    ):
        connection.execute(CALL, arguments([command_of(*command, {})]))
        time.sleep(scene.chance.uniform(0, 0.2))
    scene.ledger.tell(command[1], "rolled back")


def forget(scene: Scene, query: str, values: list[list[object]] | None = None) -> None:
    """Run a query as the owner in a transaction and wait until the server has ended it."""
    seconds = scene.chance.uniform(0.3, scene.longest)
    patience = f"{round(1_000 * seconds)}ms"
    with suppress(*ENDED), scene.server.connect() as session:
        session.execute(PATIENCE, [patience])
        with session.transaction():
            session.execute(query.encode(), values)
            time.sleep(seconds + 0.2)
            session.execute("select 1")
            message = "The server did not end a session that was idle in its transaction."
            raise AssertionError(message)


def unwanted(scene: Scene) -> tuple[Request, UUID]:
    """Write down a command that is not to stay in the log."""
    scene.asked += 1
    writer = scene.crew.plan.writers
    events = scene.chance.randint(1, 50)
    request = Request(scene.asked, ((fresh(writer, scene.asked), events),), None)
    asked = command_id(writer, scene.asked, 1)
    scene.ledger.ask(asked, request)
    return request, asked


Fault = Callable[[Scene], None]
DECK: tuple[Fault, ...] = (
    kill_writer,
    roll_back,
    kill_postmaster,
    kill_writer,
    forget_append,
    kill_backend,
    kill_writer,
    freeze_appender,
    hang_up_everybody,
    kill_writer,
    forget_lock,
    roll_back,
    freeze_server,
)


def inject(scene: Scene) -> None:
    """Inject the deck, then one shuffled deck after the other, until told to stop."""
    hand = list(reversed(DECK))
    while not scene.stopping.wait(scene.chance.uniform(0.5, 1.5) * scene.crew.plan.pause):
        hand = hand or scene.chance.sample(DECK, len(DECK))
        try:
            attempt(scene, hand.pop())
        except Exception as error:  # noqa: BLE001 - the run ends with it, in another thread
            scene.failure = error
            return


def attempt(scene: Scene, fault: Fault) -> None:
    """Inject a fault, once the server is there, and see how long nothing is acknowledged then."""
    deadline = time.monotonic() + RECOVERY_SECONDS
    while time.monotonic() < deadline:
        with suppress(psycopg.OperationalError, FileNotFoundError, IndexError):
            fault(scene)
            break
        time.sleep(0.1)
    else:
        message = f"Postgres does not come back: {fault.__name__} had no victim."
        raise AssertionError(message)
    scene.counts[fault.__name__] += 1
    seconds = silence(scene)
    scene.silences[fault.__name__] = max(seconds, scene.silences.get(fault.__name__, 0.0))


def silence(scene: Scene) -> float:
    """Return the longest time in seconds between two acknowledgements, from now on for a while."""
    began = heard = time.monotonic()
    longest, known = 0.0, scene.crew.acknowledged
    while (now := time.monotonic()) < heard + RECOVERY_SECONDS:
        if scene.crew.acknowledged != known:
            longest, heard, known = max(longest, now - heard), now, scene.crew.acknowledged
            if now > began + min(1.0, scene.crew.plan.pause):
                break
        time.sleep(0.01)
    return longest
