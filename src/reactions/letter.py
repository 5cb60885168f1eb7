"""A mail before it is sent: to whom, the subject, the text, and the headers that every mail has."""

from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

import msgspec
from email_validator import validate_email

from domain.user import User
from event_store.records import Recorded

SENDER = Address("Daybook", "no-reply", "daybook.invalid")


class Letter(msgspec.Struct, frozen=True):
    """What is written to a user; the text is plain, its lines as they shall be."""

    user: User
    subject: str
    text: str


def message_of(letter: Letter, reaction: str, event: Recorded, sender: Address) -> EmailMessage:
    """Return the mail. The same event makes the same mail each time, to the last byte.

    Whoever receives it twice can tell by the Message-ID (RFC 5322, 3.6.4), which names the stream
    too: positions begin at 1 in every installation. Auto-Submitted (RFC 3834) keeps robots from
    answering.
    """
    message = EmailMessage(policy=SMTP)
    message["From"] = sender
    message["To"] = address_of(letter.user)
    message["Subject"] = letter.subject
    message["Date"] = format_datetime(event.recorded_at)
    name = f"{reaction}.{event.position}.{event.stream_id.hex}"
    message["Message-ID"] = f"<{name}@{sender.domain}>"
    message["Auto-Submitted"] = "auto-generated"
    # Whatever the text is, 7-bit lines of at most 76 characters pass every server.
    message.set_content(letter.text, cte="quoted-printable")
    return message


def address_of(user: User) -> Address:
    """Return name and address; the domain in ASCII if the rest is (RFC 6531 is for the others)."""
    found = validate_email(user.email, check_deliverability=False, globally_deliverable=False)
    local_part, _, domain = (found.ascii_email or found.normalized).rpartition("@")
    return Address(" ".join(user.name.split()), local_part, domain)
