"""The reactions of a worker process, put together: each kind has a thread of its own."""

import threading
from collections.abc import Callable
from datetime import timedelta
from email.headerregistry import Address
from functools import partial

from psycopg import Connection
from psycopg.rows import TupleRow

from event_store.privacy.keyring import Keyring
from reactions.decisions import carrying_out
from reactions.duty import Duty
from reactions.engine import follow
from reactions.erasure import erasing
from reactions.event_stream import EventStream
from reactions.letter import SENDER
from reactions.mail_folder import MailFolder
from reactions.mailing import Outlet, mailings
from reactions.payment_deadline import keep_deadlines
from reactions.publishing import Publisher
from reactions.reaction import Reaction
from reactions.switched_on import REACTIONS
from reactions.system_actor import SystemActor


class Reactor:
    """Does what is due, beside any number of other processes that do the same.

    An SMTP server that is slow holds no deadline up: they have connections and threads apart.
    """

    def __init__(  # noqa: PLR0913 - the parts of a worker, most of them by their names
        self,
        database_url: str,
        outlet: Outlet,
        payment_window: timedelta,
        *,
        keys: Keyring,
        sender: Address = SENDER,
        stream: EventStream | None = None,
        on_append: Callable[[int], None],
    ) -> None:
        """`on_append` is told, on another thread, the newest position after a cancellation.

        `stream` is where integration events go; None: they are not published.
        """
        self._outlet = outlet
        self._payment_window = payment_window
        self._mailings = mailings(outlet, keys, payment_window, sender)
        self._actor = SystemActor(database_url, keys, on_append)
        self._duties = [
            Duty("mails", database_url, self._send_mails),
            Duty("deadlines", database_url, self._keep_deadlines),
            Duty("erasure", database_url, partial(follow, reaction=self._erasing(keys))),
            Duty("decisions", database_url, partial(follow, reaction=self._deciding())),
        ]
        self._publisher = Publisher(stream) if stream else None
        if self._publisher:
            publishing = Duty("events", database_url, self._publisher.publish, linger=0)
            self._duties.append(publishing)

    def _deciding(self) -> Reaction:
        return carrying_out(REACTIONS, self._actor.say_end)

    def _erasing(self, keys: Keyring) -> Reaction:
        folder = self._outlet if isinstance(self._outlet, MailFolder) else None
        mails = [one.name for one in self._mailings]
        return erasing(self._actor.forget_orders, keys, folder, mails)

    def open(self) -> None:
        """Get ready; Postgres and the SMTP server may be away."""
        self._actor.open()

    def close(self) -> None:
        """Let everything go; `run` must have returned."""
        for duty in self._duties:
            duty.close()
        if self._publisher:
            self._publisher.close()
        self._actor.close()

    def step(self) -> int:
        """Do what is due now, at most a hundred mails of a kind; return how much was done.

        Raises `psycopg.Error` when Postgres is away. Not beside `run`: that does it all.
        """
        return sum(duty.step() for duty in self._duties)

    def run(self, stop: threading.Event) -> None:
        """Do what is due each second and when woken, until stopped, whatever goes wrong."""
        threads = [
            threading.Thread(target=duty.run, args=[stop], name=duty.name, daemon=True)
            for duty in self._duties
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def wake(self) -> None:
        """Say that the log has grown; from any thread, returns at once."""
        for duty in self._duties:
            duty.wake()

    def _send_mails(self, connection: Connection[TupleRow]) -> int:
        try:
            return sum(follow(connection, reaction) for reaction in self._mailings)
        finally:
            self._outlet.close()

    def _keep_deadlines(self, connection: Connection[TupleRow]) -> int:
        return keep_deadlines(connection, self._payment_window, self._actor.cancel_unpaid)
