"""What a worker process does besides posting views: it reacts, and keeps the tables tidy."""

import threading
import time

import psycopg
import structlog

from daybook.settings import Settings
from daybook.wakeups import Herald
from event_store.connections import connect
from event_store.upkeep import MOST_AT_ONCE, forget_expired_keys
from projections.switched_on import PROJECTIONS
from reactions.mail_folder import MailFolder
from reactions.mailing import Outlet
from reactions.reactor import Reactor
from reactions.smtp_server import SmtpServer

SECONDS_BETWEEN_CLEANINGS = 60.0

log = structlog.get_logger(__name__)


def start_reactions(settings: Settings, database_url: str, redis_url: str) -> None:
    """React for as long as this process lives; it may be killed at any moment."""
    herald = Herald(redis_url, PROJECTIONS)
    herald.start()
    reactor = Reactor(
        database_url, outlet_of(settings), settings.payment_window, on_append=herald.tell
    )
    reactor.open()
    threading.Thread(
        target=reactor.run, args=[threading.Event()], name="reactions", daemon=True
    ).start()


def outlet_of(settings: Settings) -> Outlet:
    """Return where mails go: to an SMTP server, or into a folder of files."""
    if settings.smtp_url is not None:
        return SmtpServer(settings.smtp_url)
    return MailFolder(settings.data_dir.absolute() / "mail")


def start_cleaning(database_url: str) -> None:
    """Forget expired idempotency keys each minute, for as long as this process lives."""
    threading.Thread(target=clean, args=[database_url], name="cleaning", daemon=True).start()


def clean(database_url: str) -> None:
    """Clean again and again; what fails is tried a minute later."""
    while True:
        try:
            with connect(database_url, name="daybook cleaning") as connection:
                while forget_expired_keys(connection) == MOST_AT_ONCE:
                    pass
        except psycopg.Error as error:
            log.warning("not_cleaned", error=type(error).__name__)
        time.sleep(SECONDS_BETWEEN_CLEANINGS)
