"""The rival that loses events: the recorder of the package `eventsourcing` in its fast mode.

With `enable_db_functions` it takes no lock, so a notification id that was handed out early may be
committed late, after a reader has passed it.
"""

import random
import time
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import parent_process
from threading import Lock
from uuid import uuid4

from eventsourcing.persistence import StoredEvent
from eventsourcing.postgres import PostgresApplicationRecorder, PostgresDatastore
from psycopg.conninfo import conninfo_to_dict

from tests.oracle.plan import Post
from tests.oracle.reader import PAGE, leave, over
from tests.oracle.seen import Seen


def recorder(database_url: str, connections: int) -> PostgresApplicationRecorder:
    """Return the package's recorder in its fast mode."""
    where = conninfo_to_dict(database_url)
    datastore = PostgresDatastore(
        dbname=str(where["dbname"]),
        host=str(where["host"]),
        port=str(where["port"]),
        user=str(where["user"]),
        password="",
        pool_size=connections,
        enable_db_functions=True,
    )
    return PostgresApplicationRecorder(datastore)


def prepare(database_url: str) -> None:
    """Make the package's tables and function."""
    made = recorder(database_url, 1)
    made.create_table()
    made.datastore.close()


def write(post: Post) -> None:
    """Append from many threads, commands of few and of many events, until the board says so."""
    clients = post.plan.clients
    lock = Lock()
    used = recorder(post.database_url, clients)

    def client(number: int) -> None:
        chance = random.Random(f"{post.plan.seed}/{post.number}/{number}")  # noqa: S311 - variety
        parent = parent_process()
        while not post.board.closing and parent is not None and parent.is_alive():
            stream, count = uuid4(), chance.choice((1, 1, 2, 60))
            used.insert_events(
                [StoredEvent(stream, version, "noted", b"{}") for version in range(1, count + 1)]
            )
            with lock:
                post.board.acknowledged[post.number] += count

    with ThreadPoolExecutor(clients) as pool:
        for work in [pool.submit(client, number) for number in range(clients)]:
            work.result()
    used.datastore.close()


def read(post: Post) -> None:
    """Follow by notification id, as the package's own subscriptions do."""
    seen = Seen()
    used = recorder(post.database_url, 1)
    while not over(post, seen):
        found = used.select_notifications(seen.last, PAGE, inclusive_of_start=False)
        for notification in found:
            seen.add(notification.id)
        post.board.reached[post.number] = seen.last
        if not found:
            time.sleep(0.001)
    used.datastore.close()
    leave(post, seen)
