"""The welcome mail: to every customer who registers."""

from psycopg import Connection
from psycopg.rows import TupleRow

from domain.user import UserRegistered
from event_store.privacy.keyring import Keyring
from event_store.records import Recorded
from reactions.letter import Letter
from reactions.recipient import open_account

NAME = "welcome_mail"
EVENTS = (UserRegistered,)

TEXT = """\
Hello {name},

your account with Daybook is open. Sign in with this address:

    {email}

If you have not opened an account, somebody has mistyped an address:
you need not do anything.
"""


def compose(connection: Connection[TupleRow], keys: Keyring, event: Recorded) -> Letter | None:
    """Welcome a customer; accounts that the operator opens for others get no mail."""
    registered = event.event
    assert isinstance(registered, UserRegistered)  # noqa: S101 - the only one followed
    user = open_account(connection, keys, event.stream_id)
    if user is None or registered.role != "customer":
        return None
    return Letter(user, "Welcome to Daybook", TEXT.format(name=user.name, email=user.email))
