"""A worker that is killed in the moment after its first mail was taken, before it could note so."""

import os
import signal
import sys
from email.message import EmailMessage

from reactions.smtp_server import SmtpServer
from tests.reactions.given import reacting


class LastMail(SmtpServer):
    """Sends one mail, then nothing happens any more."""

    def send(self, message: EmailMessage, name: str) -> None:
        """Send and be killed."""
        super().send(message, name)
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    with reacting(sys.argv[1], LastMail(sys.argv[2])) as dying:
        dying.step()
