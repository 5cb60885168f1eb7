"""Passwords that everybody tries first: they are refused (ASVS 6.2.4, 6.2.11)."""

from functools import cache
from importlib.resources import files

from domain.refusal import Invalid
from domain.user import email_key


@cache
def common_passwords() -> frozenset[str]:
    """Return the most common passwords that are long enough to be chosen, in small letters."""
    return frozenset((files("commands") / "common_passwords.txt").read_text("utf-8").split())


def check_uncommon(field: str, password: str, email: str) -> None:
    """Refuse a password that is common, or that is the e-mail address or the part before its @."""
    if password.casefold() in common_passwords():
        message = "This is one of the most common passwords: choose another."
        raise Invalid.field(field, message)
    address = email_key(email)
    if email_key(password) in {address, address.partition("@")[0]}:
        raise Invalid.field(field, "The password must not be the e-mail address.")
