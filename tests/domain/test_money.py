"""Prices are exact and in one form; rounding happens once, half up, to the minor unit."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.money import Money, checked_price, minor_unit, plain, round_half_up
from domain.refusal import Invalid
from tests.domain.given import pounds

prices = st.decimals("0.0001", "999999999999.9999", places=4)


@pytest.mark.parametrize(
    ("amount", "currency", "rounded"),
    [
        ("2.345", "GBP", "2.35"),
        ("2.3449", "GBP", "2.34"),
        ("2.335", "GBP", "2.34"),
        ("0.005", "GBP", "0.01"),
        ("0.0049", "GBP", "0.00"),
        ("1234.5", "JPY", "1235"),
        ("1.0005", "KWD", "1.001"),
    ],
)
def test_halves_are_rounded_up_to_the_minor_unit(amount: str, currency: str, rounded: str) -> None:
    assert str(round_half_up(Decimal(amount), currency)) == rounded


@pytest.mark.parametrize(
    ("amount", "currency", "form"),
    [
        ("25", "GBP", "25.00"),
        ("1E+3", "GBP", "1000.00"),
        ("25.5000", "GBP", "25.50"),
        ("0.0010", "GBP", "0.001"),
        ("100", "JPY", "100"),
        ("1E+2", "JPY", "100"),
        ("2.5", "JPY", "2.5"),
        ("7", "KWD", "7.000"),
        ("999999999999.9999", "GBP", "999999999999.9999"),
    ],
)
def test_a_price_has_one_form(amount: str, currency: str, form: str) -> None:
    price = checked_price("price", Money(Decimal(amount), currency))
    assert (str(price.amount), price.currency) == (form, currency)


@pytest.mark.parametrize("amount", ["0", "-0", "-0.01", "NaN", "sNaN", "Infinity", "1e12", "1e400"])
def test_a_price_is_more_than_nothing_and_less_than_10_12(amount: str) -> None:
    with pytest.raises(Invalid) as refused:
        checked_price("price", pounds(amount))
    assert [detail.field for detail in refused.value.details] == ["price.amount"]


@pytest.mark.parametrize(
    "amount", ["0.00001", "1.23456", "1e-400", "1.00000000000000000000000000000000001"]
)
def test_a_price_has_at_most_four_decimals_however_long_it_is_written(amount: str) -> None:
    with pytest.raises(Invalid):
        checked_price("price", pounds(amount))


@pytest.mark.parametrize("code", ["", "gbp", "GB", "GBPX", "G\u0411P", "GBP\n"])
def test_a_currency_is_three_capital_letters(code: str) -> None:
    with pytest.raises(Invalid) as refused:
        checked_price("price", Money(Decimal(1), code))
    assert [detail.field for detail in refused.value.details] == ["price.currency"]


@given(prices, st.sampled_from(["GBP", "JPY", "KWD"]))
def test_the_form_of_a_price_is_worth_the_same_and_stays(amount: Decimal, currency: str) -> None:
    price = checked_price("price", Money(amount, currency))
    assert price.amount == amount
    assert str(checked_price("price", price).amount) == str(price.amount)
    assert "E" not in str(price.amount)


@given(st.decimals("0", "999999999999", places=4), st.sampled_from(["GBP", "JPY", "KWD"]))
def test_rounding_agrees_with_exact_fractions(amount: Decimal, currency: str) -> None:
    unit = Fraction(minor_unit(currency))
    expected = (Fraction(amount) / unit + Fraction(1, 2)) // 1 * unit
    assert Fraction(round_half_up(amount, currency)) == expected


@given(prices)
def test_a_plain_amount_shows_at_least_the_minor_unit(amount: Decimal) -> None:
    assert len(str(plain(amount, "GBP")).partition(".")[2]) >= 2
