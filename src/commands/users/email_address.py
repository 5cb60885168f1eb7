"""E-mail addresses as accounts have them: checked, in a normal form, reserved for one account."""

from email_validator import EmailNotValidError, validate_email

from domain.plain_text import MOST_OF_ONE
from domain.refusal import Invalid
from domain.user import LONGEST_EMAIL


def checked_email(email: str) -> str:
    """Return the address in its normal form (RFC 5321, 6531); `Invalid` if it is none.

    Nothing is looked up in the network: whether mail arrives there shows when it is sent.
    """
    trimmed = email.strip()
    if len(trimmed) > MOST_OF_ONE * LONGEST_EMAIL:
        raise Invalid.field("email", "This is not an e-mail address.")
    try:
        found = validate_email(
            trimmed,
            check_deliverability=False,
            globally_deliverable=False,
            strict=True,
        )
    except (EmailNotValidError, UnicodeError):
        raise Invalid.field("email", "This is not an e-mail address.") from None
    if "." not in found.ascii_domain or len(found.normalized) > LONGEST_EMAIL:
        raise Invalid.field("email", "This is not an e-mail address.")
    return found.normalized
