"""The SMTP server that mails are handed to (RFC 5321), and what its refusals mean."""

import ipaddress
import smtplib
import ssl
import time
from contextlib import suppress
from email.message import EmailMessage
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from reactions.reaction import (
    ATTEMPTS_IF_LATER,
    ATTEMPTS_IF_REFUSED,
    ATTEMPTS_IF_UNSURE,
    Outage,
    Refused,
)

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

# Less than idle_in_transaction_session_timeout: the checkpoint is locked while a mail is sent.
MAIL_SECONDS = 20.0
CONNECT_SECONDS = 5.0
SMTP_PORT, SMTPS_PORT = 25, 465
# "Closing", and the codes of RFC 4954 that say who we are is the trouble: not this mail's fault.
NOT_THE_MAIL = {421, 530, 534, 535, 538}


class Session(smtplib.SMTP):
    """A connection that gives up at a moment of the monotonic clock.

    It also gives up before it hands a mail over when this process was frozen until past that
    moment: another has sent the mail by then.
    """

    ends = 0.0
    handed_over = False

    def send(self, s: "ReadableBuffer | str") -> None:
        """Send, and let the answer take no longer than what is left."""
        left = self.ends - time.monotonic()
        if left <= 0:
            raise TimeoutError("The SMTP server is too slow.")
        if self.sock is not None:
            self.sock.settimeout(left)
        super().send(s)

    def data(self, msg: "ReadableBuffer | str") -> Any:
        """Hand the mail over: from here on, no answer does not mean that it was not taken."""
        self.handed_over = True
        return super().data(msg)


class SessionOverTls(Session, smtplib.SMTP_SSL):
    """A session that is encrypted from its first byte."""


class SmtpServer:
    """The server; the connection is kept from one mail to the next until `close`."""

    def __init__(self, url: str) -> None:
        """`url` is smtp:// (encrypted if the server offers STARTTLS) or smtps://."""
        self._url = urlsplit(url)
        self._host = self._url.hostname or "localhost"
        self._session: Session | None = None

    def send(self, message: EmailMessage, _name: str) -> None:
        """Hand a mail over; raises `Outage`, `Refused`."""
        ends = time.monotonic() + MAIL_SECONDS
        session = self._session = self._session or self._connect(ends)
        session.ends, session.handed_over = ends, False
        sender, recipient = (message[name].addresses[0].addr_spec for name in ("From", "To"))
        try:
            session.send_message(message, sender, [recipient])
        except smtplib.SMTPNotSupportedError as error:
            raise Refused(str(error)) from error
        except (smtplib.SMTPException, OSError) as error:
            self._drop()
            raise trouble_of(error, handed_over=session.handed_over) from error

    def close(self) -> None:
        """Say goodbye."""
        if self._session is not None:
            self._session.ends = time.monotonic() + 1
            with suppress(smtplib.SMTPException, OSError):
                self._session.quit()
        self._drop()

    def _drop(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            session.close()

    def _connect(self, ends: float) -> Session:
        try:
            session = self._called()
        except (smtplib.SMTPException, OSError) as error:
            raise Outage(self._unreachable(error)) from error
        session.ends = ends
        try:
            self._introduce(session)
        except (smtplib.SMTPException, OSError) as error:
            session.close()
            raise Outage(self._unreachable(error)) from error
        return session

    def _called(self) -> Session:
        if self._url.scheme == "smtps":
            return SessionOverTls(
                self._host,
                self._url.port or SMTPS_PORT,
                timeout=CONNECT_SECONDS,
                context=self._tls(),
            )
        return Session(self._host, self._url.port or SMTP_PORT, timeout=CONNECT_SECONDS)

    def _introduce(self, session: Session) -> None:
        session.ehlo_or_helo_if_needed()
        encrypted = self._url.scheme == "smtps"
        if not encrypted and session.has_extn("starttls"):
            session.starttls(context=self._tls())
            session.ehlo()
            encrypted = True
        if self._url.username is None:
            return
        if not encrypted and not is_this_machine(self._host):
            raise smtplib.SMTPException("it offers no STARTTLS, and no password is sent in clear")
        session.login(unquote(self._url.username), unquote(self._url.password or ""))

    def _tls(self) -> ssl.SSLContext:
        """Certificates are checked, but for a server on this machine: nobody is in between."""
        context = ssl.create_default_context()
        if is_this_machine(self._host):
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context

    def _unreachable(self, error: Exception) -> str:
        return f"The SMTP server {self._host} cannot be used: {said(error)}"


def trouble_of(error: Exception, *, handed_over: bool) -> Outage | Refused:
    """Tell whether it is this mail that the server does not take, or any."""
    code, reason = code_of(error), said(error)
    of_this_mail = isinstance(error, smtplib.SMTPRecipientsRefused | smtplib.SMTPDataError)
    if of_this_mail and code not in NOT_THE_MAIL and 400 <= code < 600:  # noqa: PLR2004 - RFC 5321
        temporary = code < 500  # noqa: PLR2004 - RFC 5321, 4.2.1
        return Refused(reason, ATTEMPTS_IF_LATER if temporary else ATTEMPTS_IF_REFUSED)
    if handed_over and code not in NOT_THE_MAIL:
        return Refused(f"No answer came, it may have arrived: {reason}", ATTEMPTS_IF_UNSURE)
    return Outage(reason)


def code_of(error: Exception) -> int:
    """Return the code of the server's answer, -1 if there was none."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return min(code for code, _ in error.recipients.values())
    return error.smtp_code if isinstance(error, smtplib.SMTPResponseException) else -1


def said(error: Exception) -> str:
    """Return what the server, or the way to it, answered."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        [(code, answer), *_] = error.recipients.values()
        return f"{code} {answer.decode(errors='replace')}"
    if isinstance(error, smtplib.SMTPResponseException):
        text: bytes | str = error.smtp_error
        text = text.decode(errors="replace") if isinstance(text, bytes) else text
        return f"{error.smtp_code} {text}"
    return str(error) or type(error).__name__


def is_this_machine(host: str) -> bool:
    """Tell whether a host is this one by its name or address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
