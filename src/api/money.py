"""Money as clients write and read it: a decimal string and a currency, never a float."""

from decimal import Decimal
from typing import Annotated

import msgspec

from domain.money import Money

# The last part keeps Python's `$` from matching before a newline; JSON Schema's never does.
AMOUNT = r"^-?[0-9]{1,15}(\.[0-9]{1,4})?$(?!\n)"
# The same digits: of 15 before the point at most 12 count, and one of them all is not 0.
PRICE = r"^(?=0*\.?0*[1-9])0{0,3}[0-9]{1,12}(\.[0-9]{1,4})?$(?!\n)"


class MoneyText(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """An exact amount in one currency (ISO 4217)."""

    amount: Annotated[
        str, msgspec.Meta(pattern=AMOUNT, max_length=20, examples=["25.00"], description="Decimal")
    ]
    currency: Annotated[str, msgspec.Meta(pattern=r"^[A-Z]{3}$(?!\n)", examples=["GBP"])]

    def value(self) -> Money:
        """Return the amount to calculate with."""
        return Money(Decimal(self.amount), self.currency)


class PriceText(MoneyText, frozen=True):
    """An exact amount, more than 0 and less than 10^12, in one currency (ISO 4217)."""

    amount: Annotated[
        str,
        msgspec.Meta(
            pattern=AMOUNT,
            max_length=20,
            examples=["25.00"],
            description="Decimal",
            extra_json_schema={"extra": {"pattern": PRICE}},  # the domain says it in words
        ),
    ]


def money_text(money: Money) -> MoneyText:
    """Return an amount as clients read it."""
    return MoneyText(f"{money.amount:f}", money.currency)
