"""A real SMTP server that tests can open, shut, and tell what to answer."""

import socket
import ssl
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session


class PostOffice:
    """Takes mails in at 127.0.0.1. `at_rcpt` and `at_data`: answers by recipient, but "250 OK"."""

    def __init__(
        self,
        tls: ssl.SSLContext | None = None,
        credentials: tuple[str, str] | None = None,
        *,
        from_the_first_byte: bool = False,
    ) -> None:
        """`tls`: offer STARTTLS, or encrypt all of it (smtps); `credentials`: insist on them."""
        self.received: list[EmailMessage] = []
        self.recipients: list[str] = []
        self.encrypted: list[bool] = []
        self.at_rcpt: dict[str, str] = {}
        self.at_data: dict[str, str] = {}
        self.port = free_port()
        self._tls, self._credentials = tls, credentials
        self._smtps = from_the_first_byte
        self._controller: Controller | None = None

    @property
    def url(self) -> str:
        scheme = "smtps" if self._smtps else "smtp"
        return f"{scheme}://127.0.0.1:{self.port}"

    def open(self) -> None:
        options: dict[str, Any] = {"enable_SMTPUTF8": True}
        options["ssl_context" if self._smtps else "tls_context"] = self._tls
        if self._credentials:
            options |= {
                "authenticator": self._authenticate,
                "auth_required": True,
                "auth_require_tls": False,
            }
        self._controller = Opening(self, hostname="127.0.0.1", port=self.port, **options)
        self._controller.start()

    def shut(self) -> None:
        if self._controller is not None:
            self._controller.stop()
            self._controller = None

    def subjects(self) -> list[str]:
        return [str(message["Subject"]) for message in self.received]

    def message_ids(self) -> list[str]:
        return [str(message["Message-ID"]) for message in self.received]

    def _authenticate(
        self, _server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, data: Any
    ) -> AuthResult:
        assert isinstance(data, LoginPassword)
        given = (data.login.decode(), data.password.decode())
        return AuthResult(success=given == self._credentials, handled=False)

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, _server: SMTP, _session: Session, envelope: Envelope, to: str, _options: list[str]
    ) -> str:
        if to in self.at_rcpt:
            return self.at_rcpt[to]
        envelope.rcpt_tos.append(to)
        return "250 OK"

    async def handle_DATA(  # noqa: N802 - aiosmtpd's name
        self, _server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        [to] = envelope.rcpt_tos
        if to in self.at_data:
            return self.at_data[to]
        assert isinstance(envelope.original_content, bytes)
        parsed = message_from_bytes(envelope.original_content, policy=policy.default)
        assert isinstance(parsed, EmailMessage)
        self.received.append(parsed)
        self.recipients.append(to)
        self.encrypted.append(self._smtps or session.ssl is not None)
        return "250 OK"


class Opening(Controller):
    """aiosmtpd's own, but for its first call of itself, which cannot be made with TLS."""

    def _trigger_server(self) -> None:
        with socket.create_connection((self.hostname, self.port), 1):
            pass


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
