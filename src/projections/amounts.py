"""Amounts of money as views show them: exact, in plain digits, never a float or an exponent."""

from decimal import Decimal
from functools import lru_cache
from typing import Annotated

import msgspec

from domain.money import MINOR_UNITS

# Patterns for the document alone: as constraints they would be checked at every decoding.
AMOUNT = msgspec.Meta(
    examples=["25.00"], extra_json_schema={"extra": {"pattern": r"^-?[0-9]+(\.[0-9]+)?$"}}
)
CURRENCY = msgspec.Meta(examples=["GBP"], extra_json_schema={"extra": {"pattern": r"^[A-Z]{3}$"}})


class MoneyView(msgspec.Struct, frozen=True):
    """An exact amount in one currency (ISO 4217)."""

    amount: Annotated[str, AMOUNT]
    currency: Annotated[str, CURRENCY]


def money_view(amount: Decimal, currency: str) -> MoneyView:
    """Show an amount."""
    return MoneyView(plain_digits(amount, currency), currency)


@lru_cache(10_000)
def plain_digits(amount: Decimal, currency: str) -> str:
    """Return all digits of an amount of any size; at least those of the currency's minor unit."""
    whole, _, decimals = f"{amount:f}".partition(".")
    decimals = decimals.rstrip("0").ljust(MINOR_UNITS.get(currency, 2), "0")
    return f"{whole}.{decimals}" if decimals else whole
