"""Amounts of money: exact decimals with a currency, rounded only where a total is struck."""

import re
from decimal import ROUND_HALF_UP, Decimal
from functools import lru_cache

import msgspec

from domain.refusal import Invalid

# ISO 4217 (list one): currencies whose minor unit is not a hundredth. All others have two decimals.
MINOR_UNITS = {
    "BIF": 0, "CLP": 0, "DJF": 0, "GNF": 0, "ISK": 0, "JPY": 0, "KMF": 0, "KRW": 0, "PYG": 0,
    "RWF": 0, "UGX": 0, "VND": 0, "VUV": 0, "XAF": 0, "XOF": 0, "XPF": 0,
    "BHD": 3, "IQD": 3, "JOD": 3, "KWD": 3, "LYD": 3, "OMR": 3, "TND": 3,
}  # fmt: skip
CURRENCY_CODE = re.compile(r"[A-Z]{3}")
SMALLEST_PRICE = Decimal("0.0001")
LARGEST_AMOUNT = Decimal(10) ** 12


class Money(msgspec.Struct, frozen=True):
    """An exact amount in one currency (ISO 4217 code)."""

    amount: Decimal
    currency: str


@lru_cache
def minor_unit(currency: str) -> Decimal:
    """Return the smallest amount that can be paid in a currency, such as 0.01."""
    return Decimal(1).scaleb(-MINOR_UNITS.get(currency, 2))


def round_half_up(amount: Decimal, currency: str) -> Decimal:
    """Round an exact amount to the currency's minor unit, halves away from zero."""
    return amount.quantize(minor_unit(currency), ROUND_HALF_UP)


def checked_price(field: str, price: Money) -> Money:
    """Return the price in normal form; `Invalid` unless 0 < amount < 10^12 with 4 decimals."""
    amount, code = price.amount, price.currency
    if not CURRENCY_CODE.fullmatch(code):
        raise Invalid.field(f"{field}.currency", "A currency is a code such as GBP.", code[:16])
    if not amount.is_finite() or amount <= 0 or amount >= LARGEST_AMOUNT:
        raise Invalid.field(f"{field}.amount", "A price is more than 0 and less than 10^12.")
    if amount != amount.quantize(SMALLEST_PRICE):
        raise Invalid.field(f"{field}.amount", "A price has at most four decimals.")
    return Money(plain(amount, code), code)


def plain(amount: Decimal, currency: str) -> Decimal:
    """Return the amount without exponent or needless zeros, but never less than the minor unit."""
    short = amount.normalize()
    exponent = short.as_tuple().exponent
    fewest = minor_unit(currency)
    if isinstance(exponent, int) and exponent > -MINOR_UNITS.get(currency, 2):
        return short.quantize(fewest)
    return short
