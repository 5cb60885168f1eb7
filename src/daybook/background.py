"""What is done beside posting views: reactions, operators' wishes, the notary, tidying.

It is a process of its own, a child of a worker: mails cost more than the views of what they are
about, and would hold those up in one interpreter. It is a little nice for the same reason.
"""

import asyncio
import os
import threading
import time
from datetime import timedelta
from email.headerregistry import Address
from email.utils import parseaddr
from pathlib import Path

import psycopg
import structlog

from daybook import garbage
from daybook.command_line.operator_commands import operator_tools
from daybook.keys import tombstones
from daybook.keys.master_key import keyring
from daybook.logs import configure_logs
from daybook.notary import start_notary
from daybook.operators.conductor import Conductor
from daybook.processes.children import end_with_parent
from daybook.services import Services
from daybook.settings import Settings
from daybook.wakeups.sender import Herald
from event_store.connections import connect
from event_store.privacy.keyring import Keyring
from event_store.upkeep import MOST_AT_ONCE, forget_expired_keys, forget_old_sign_ins
from projections.pasts.register import drop_unused
from projections.switched_on import PROJECTIONS
from reactions.event_stream import EventStream
from reactions.mailing import outlet_for
from reactions.reactor import Reactor

SECONDS_BETWEEN_CLEANINGS = 60.0
SECONDS_BETWEEN_NOTES = 2.0
NICE = 5

log = structlog.get_logger(__name__)


def start_reactions(
    settings: Settings, database_url: str, redis_url: str, keys: Keyring
) -> Reactor:
    """React for as long as this process lives; it may be killed at any moment."""
    herald = Herald(settings.broker_url or redis_url, PROJECTIONS)
    herald.start()
    kept = settings.integration_events
    reactor = Reactor(
        database_url,
        outlet_for(settings.smtp_url, settings.data_dir.absolute()),
        settings.payment_window,
        keys=keys,
        sender=sender_of(settings.mail_from),
        stream=EventStream(redis_url, kept) if kept else None,
        on_append=herald.tell,
    )
    reactor.open()
    threading.Thread(
        target=reactor.run, args=[threading.Event()], name="reactions", daemon=True
    ).start()
    return reactor


async def conduct(found: Services) -> None:
    """Carry out what operators ask."""
    async with operator_tools(found) as tools:
        await Conductor(tools, found.database_url, found.keys).run()


def sender_of(text: str) -> Address:
    """Return the sender of mails: an address, with a name before it or not."""
    name, address = parseaddr(text)
    return Address(display_name=name, addr_spec=address)


def start_cleaning(settings: Settings, database_url: str) -> None:
    """Forget what has had its time each minute, for as long as this process lives."""
    # What still locks somebody out is not forgotten.
    window = settings.login_rate_limit.window if settings.login_rate_limit else timedelta()
    kept = max(settings.sign_ins_kept, window)
    arguments = [database_url, kept]
    threading.Thread(target=clean, args=arguments, name="cleaning", daemon=True).start()


def start_noting(settings: Settings, database_url: str) -> None:
    """Note in a file who is forgotten, for as long as this process lives."""
    path = tombstones.file_of(settings)
    threading.Thread(
        target=note_again, args=[database_url, path], name="notes", daemon=True
    ).start()


def note_again(database_url: str, path: Path) -> None:
    """Look every few seconds; what fails is tried the next time."""
    while True:
        try:
            with connect(database_url, name="daybook notes") as connection:
                while True:
                    tombstones.note(connection, path)
                    time.sleep(SECONDS_BETWEEN_NOTES)
        except (psycopg.Error, OSError) as error:
            log.warning("forgotten_not_noted", error=type(error).__name__)
        time.sleep(SECONDS_BETWEEN_NOTES)


def clean(database_url: str, sign_ins_kept: timedelta) -> None:
    """Clean again and again; what fails is tried a minute later."""
    while True:
        try:
            with connect(database_url, name="daybook cleaning") as connection:
                while forget_expired_keys(connection) == MOST_AT_ONCE:
                    pass
                while forget_old_sign_ins(connection, sign_ins_kept) == MOST_AT_ONCE:
                    pass
                drop_unused(connection)
        except psycopg.Error as error:
            log.warning("not_cleaned", error=type(error).__name__)
        time.sleep(SECONDS_BETWEEN_CLEANINGS)


def main() -> None:
    """Do all of it until the worker ends."""
    configure_logs()
    os.nice(NICE)
    garbage.look_rarely()
    settings = Settings.from_environment(os.environ)
    assert settings.database_url is not None  # noqa: S101 - the worker says it
    assert settings.redis_url is not None  # noqa: S101 - as above
    found = Services(
        settings.database_url, settings.redis_url, keyring(settings), settings.broker_url
    )
    reactor = start_reactions(settings, found.database_url, found.redis_url, found.keys)
    end_with_parent(reactor.wake)
    start_cleaning(settings, found.database_url)
    start_noting(settings, found.database_url)
    start_notary(settings, found.database_url)
    asyncio.run(conduct(found))


if __name__ == "__main__":
    main()
