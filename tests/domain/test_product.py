"""Products: listed, changed, counted, reserved, withdrawn; stock never below zero."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.product import (
    OutOfStock,
    Product,
    ProductListed,
    ProductNotForSale,
    ProductRenamed,
    ProductRepriced,
    ProductWithdrawn,
    SkuTaken,
    StockAdjusted,
    StockNotTracked,
    StockReleased,
    StockReserved,
    adjust_stock,
    change_details,
    evolve,
    list_for_sale,
    release,
    reserve,
    withdraw,
)
from domain.refusal import Invalid, Refusal
from tests.domain.given import ORDER, pounds, state_of

LISTED = ProductListed("TEA-1", "Teapot", pounds("4.25"), 10)
UNTRACKED = ProductListed("TEA-1", "Teapot", pounds("4.25"), None)


def test_a_product_is_listed_with_clean_text_and_a_price_in_its_form() -> None:
    assert list_for_sale(" TEA-1 ", " Teapot", pounds("4.2500"), 10) == [LISTED]
    assert state_of(evolve, [LISTED]) == Product("TEA-1", "Teapot", pounds("4.25"), 10)


@pytest.mark.parametrize("stock", [-1, 10**9 + 1])
def test_a_product_starts_with_0_to_10_9_pieces(stock: int) -> None:
    with pytest.raises(Invalid) as refused:
        list_for_sale("TEA-1", "Teapot", pounds("4.25"), stock)
    assert refused.value.details[0].field == "stock"


@pytest.mark.parametrize(("sku", "name"), [("", "Teapot"), ("x" * 65, "Teapot"), ("TEA", " ")])
def test_a_product_has_a_sku_and_a_name(sku: str, name: str) -> None:
    with pytest.raises(Invalid):
        list_for_sale(sku, name, pounds("4.25"), None)


def test_a_price_of_nothing_is_refused_at_every_door() -> None:
    with pytest.raises(Invalid):
        list_for_sale("TEA-1", "Teapot", pounds("0"), None)
    with pytest.raises(Invalid):
        change_details(state_of(evolve, [LISTED]), None, pounds("0"))


def test_details_that_change_are_events_and_others_are_none() -> None:
    product = state_of(evolve, [LISTED])
    assert change_details(product, None, None) == []
    assert change_details(product, " Teapot ", pounds("4.25000")) == []
    events = change_details(product, "Pot", pounds("5"))
    assert events == [ProductRenamed("Pot"), ProductRepriced(pounds("5.00"))]
    assert state_of(evolve, [LISTED, *events]) == Product("TEA-1", "Pot", pounds("5.00"), 10)


def test_stock_comes_in_and_goes_out() -> None:
    product = state_of(evolve, [LISTED])
    assert adjust_stock(product, -10, "broken") == [StockAdjusted(-10, "broken")]
    assert evolve(product, StockAdjusted(5, "found")).stock == 15


@pytest.mark.parametrize("quantity", [0, 10**9 + 1, -(10**9) - 1, 10**9 - 9])
def test_an_adjustment_is_of_something_and_leaves_at_most_10_9(quantity: int) -> None:
    with pytest.raises(Invalid) as refused:
        adjust_stock(state_of(evolve, [LISTED]), quantity, "count")
    assert refused.value.details[0].field == "quantity"


def test_more_than_there_is_can_neither_be_lost_nor_reserved() -> None:
    product = state_of(evolve, [LISTED, StockReserved(ORDER, 4)])
    with pytest.raises(OutOfStock) as refused:
        adjust_stock(product, -7, "broken")
    assert refused.value.details[0].value == -7
    with pytest.raises(OutOfStock) as refused:
        reserve(product, ORDER, 7, "items[0].quantity")
    assert refused.value.details[0].field == "items[0].quantity"
    assert "6 of TEA-1" in refused.value.message


def test_stock_that_is_not_tracked_is_never_short_and_never_adjusted() -> None:
    product = state_of(evolve, [UNTRACKED])
    assert reserve(product, ORDER, 10**6, "items[0].quantity") == []
    with pytest.raises(StockNotTracked):
        adjust_stock(product, 1, "count")


def test_reserved_stock_is_gone_until_it_is_released() -> None:
    product = state_of(evolve, [LISTED])
    [reserved] = reserve(product, ORDER, 4, "items[0].quantity")
    assert evolve(product, reserved).stock == 6
    [released] = release(ORDER, 4)
    assert released == StockReleased(ORDER, 4)
    assert state_of(evolve, [LISTED, reserved, released]).stock == 10


def test_a_withdrawn_product_is_not_for_sale() -> None:
    product = state_of(evolve, [LISTED])
    assert withdraw(product) == [ProductWithdrawn()]
    withdrawn = evolve(product, ProductWithdrawn())
    with pytest.raises(ProductNotForSale):
        withdraw(withdrawn)
    with pytest.raises(ProductNotForSale):
        change_details(withdrawn, "Pot", None)
    with pytest.raises(ProductNotForSale):
        adjust_stock(withdrawn, 1, "count")
    with pytest.raises(ProductNotForSale) as refused:
        reserve(withdrawn, ORDER, 1, "items[0].quantity")
    assert refused.value.details[0].field == "items[0].quantity"


def test_a_withdrawn_product_takes_reserved_stock_back() -> None:
    events = [LISTED, StockReserved(ORDER, 4), ProductWithdrawn(), *release(ORDER, 4)]
    assert state_of(evolve, events).stock == 10


def test_a_taken_sku_has_a_code_of_its_own() -> None:
    assert SkuTaken.code == "SKU_TAKEN"


Move = tuple[str, int]
moves = st.tuples(st.sampled_from(["adjust", "reserve", "release"]), st.integers(-20, 20))


@given(st.integers(0, 20), st.lists(moves))
def test_stock_is_never_below_zero_and_no_piece_is_lost(stock: int, asked: list[Move]) -> None:
    product = state_of(evolve, list_for_sale("TEA-1", "Teapot", pounds("4.25"), stock))
    owned, reserved = stock, dict[UUID, int]()
    for number, (move, quantity) in enumerate(asked):
        order_id = UUID(int=number)
        try:
            if move == "adjust":
                events = adjust_stock(product, quantity, "count")
                owned += quantity
            elif move == "reserve":
                events = reserve(product, order_id, abs(quantity) + 1, "quantity")
                reserved[order_id] = abs(quantity) + 1
            else:
                events = release(*reserved.popitem()) if reserved else []
        except Refusal:
            continue
        for event in events:
            product = evolve(product, event)
        assert product.stock is not None
        assert product.stock >= 0
        assert product.stock + sum(reserved.values()) == owned
