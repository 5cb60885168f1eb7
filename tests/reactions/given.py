"""Where the reactions' tests begin: a reactor, and what the database holds of its work."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from time import monotonic, sleep
from typing import Any, LiteralString
from uuid import UUID

import psycopg

from commands.work import Tools
from reactions.mailing import Outlet
from reactions.reactor import Reactor
from tests.commands.given import asking, listed, placed, registered
from tests.event_store.given import keyring

WINDOW = timedelta(minutes=30)


@contextmanager
def reacting(
    database_url: str, outlet: Outlet, payment_window: timedelta = WINDOW
) -> Iterator[Reactor]:
    """Open a reactor for the length of a block."""
    reactor = Reactor(
        database_url, outlet, payment_window, keys=keyring(), on_append=lambda _: None
    )
    reactor.open()
    try:
        yield reactor
    finally:
        reactor.close()


@contextmanager
def running(reactor: Reactor) -> Iterator[None]:
    """Let a reactor run by itself for the length of a block."""
    stop = threading.Event()
    thread = threading.Thread(target=reactor.run, args=[stop])
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def wait_for(condition: Callable[[], bool]) -> None:
    """Wait until something is so; it must be within ten seconds."""
    ends = monotonic() + 10
    while not condition():
        assert monotonic() < ends
        sleep(0.05)


def finish(reactor: Reactor) -> int:
    """Do everything that is due; return how much that was."""
    done = 0
    while step := reactor.step():
        done += step
    return done


def rows(database_url: str, query: LiteralString, *values: object) -> list[tuple[Any, ...]]:
    """Ask the database, or change it, beside everything that is tested."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        cursor = connection.execute(query, values)
        return cursor.fetchall() if cursor.description else []


def end_pauses(database_url: str) -> None:
    """Let what waits to be tried again be tried now."""
    rows(database_url, "update reaction_checkpoints set retry_at = now() where retry_at > now()")
    rows(database_url, "update reaction_failures set retry_at = now() where retry_at > now()")


def files_in(folder: Path) -> list[str]:
    """Return the names of the mails in a folder, which need not exist."""
    return sorted(path.name for path in folder.glob("*"))


def names_in_log(database_url: str) -> list[str]:
    """Return the names of all events in order."""
    return [name for (name,) in rows(database_url, "select name from events order by position")]


async def ordered(tools: Tools, email: str = "alice@example.com", *, quantity: int = 2) -> UUID:
    """Register somebody who orders a teapot of their own kind; return the order's id."""
    user_id = await registered(tools, email)
    product_id = await listed(tools, f"SKU of {email}")
    receipt = await placed(tools, asking("customer", user_id), (product_id, quantity))
    return receipt.id
