"""The mails that are sent: the one list. A new one also needs a migration for its checkpoint."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from email.headerregistry import Address
from functools import partial
from pathlib import Path

from psycopg import Connection
from psycopg.rows import TupleRow

from event_store.event_types import Event
from event_store.privacy.keyring import Keyring
from event_store.records import Recorded
from reactions import order_confirmation, shipment_mail, welcome_mail
from reactions.letter import Letter, message_of
from reactions.mail_folder import MailFolder
from reactions.reaction import Reaction
from reactions.smtp_server import SmtpServer

Outlet = MailFolder | SmtpServer
Compose = Callable[[Connection[TupleRow], Keyring, Recorded], Letter | None]


def outlet_for(smtp_url: str | None, data_dir: Path) -> Outlet:
    """Return where mails go: to the SMTP server, or without one to files under `mail`."""
    return SmtpServer(smtp_url) if smtp_url else MailFolder(data_dir / "mail")


def mailings(
    outlet: Outlet, keys: Keyring, payment_window: timedelta, sender: Address
) -> list[Reaction]:
    """Return the reactions that send a mail."""
    confirm = partial(order_confirmation.compose, payment_window=payment_window)
    mails: list[tuple[str, Sequence[type[Event]], Compose]] = [
        (welcome_mail.NAME, welcome_mail.EVENTS, welcome_mail.compose),
        (order_confirmation.NAME, order_confirmation.EVENTS, confirm),
        (shipment_mail.NAME, shipment_mail.EVENTS, shipment_mail.compose),
    ]
    return [mailing(*mail, outlet, keys, sender) for mail in mails]


def mailing(  # noqa: PLR0913, PLR0917 - what a mail is, and what it is made and sent with
    name: str,
    events: Sequence[type[Event]],
    compose: Compose,
    outlet: Outlet,
    keys: Keyring,
    sender: Address,
) -> Reaction:
    """Return the reaction that composes a mail and sends it, unless there is nobody to write to."""

    def send(connection: Connection[TupleRow], event: Recorded) -> None:
        letter = compose(connection, keys, event)
        if letter is not None:
            outlet.send(message_of(letter, name, event, sender), f"{event.position}-{name}")

    return Reaction(name, events, send, keys)
