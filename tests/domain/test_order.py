"""Orders: what they cost, and the way from placed to delivered, cancelled or refunded."""

from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.money import Money
from domain.order import (
    MOST_LINES,
    Event,
    Order,
    OrderAlreadyCancelled,
    OrderAlreadyPaid,
    OrderAlreadyShipped,
    OrderCancelled,
    OrderDelivered,
    OrderImported,
    OrderNoteAdded,
    OrderNotPaid,
    OrderNotShipped,
    OrderPaid,
    OrderPlaced,
    OrderRefunded,
    OrderShipped,
    Sale,
    add_note,
    cancel,
    check_items,
    deliver,
    evolve,
    holds_stock,
    import_fulfilled,
    line_of,
    pay,
    place,
    refund,
    ship,
    total_of,
)
from domain.refusal import Invalid, Refusal
from tests.domain.given import ALICE, LANTERN, NOON, TEAPOT, line, pounds, state_of

LINES = (line(2, "4.25"), line(1, "0.9900", product_id=LANTERN))
SALE = Sale(ALICE, NOON, pounds("9.49"), LINES)
PLACED = OrderPlaced(ALICE, NOON, LINES, pounds("9.49"))
PAID = OrderPaid("bank-1", pounds("9.49"))
SHIPPED = OrderShipped("Royal Mail", "RM1")
CANCELLED = OrderCancelled("changed my mind", SALE)


def order_after(*events: Event) -> Order:
    """Return the order that was placed and then saw these events."""
    return state_of(evolve, [PLACED, *events])


def test_an_order_is_placed_at_the_sum_of_its_lines() -> None:
    assert place(ALICE, NOON, LINES, "GBP") == [PLACED]
    order = order_after()
    assert (order.status, order.total, order.paid, order.shipped) == (
        "placed",
        pounds("9.49"),
        False,
        False,
    )


def test_a_total_is_rounded_once_and_not_line_by_line() -> None:
    assert total_of((line(1, "0.005"), line(1, "0.005")), "GBP") == pounds("0.01")
    assert total_of((line(3, "0.0015"),), "GBP") == pounds("0.00")
    assert total_of((line(1, "0.0049"), line(1, "0.0001")), "GBP") == pounds("0.01")


def test_a_line_amount_is_exact() -> None:
    assert str(line(3, "0.0015").amount) == "0.0045"
    assert str(line(4, "2.50").amount) == "10.00"


@pytest.mark.parametrize("quantity", [0, -1, 1_000_001])
def test_a_quantity_is_from_1_to_a_million(quantity: int) -> None:
    with pytest.raises(Invalid) as refused:
        check_items([(TEAPOT, 1), (LANTERN, quantity)])
    assert refused.value.details[0].field == "items[1].quantity"


def test_a_product_is_named_once_in_an_order() -> None:
    with pytest.raises(Invalid) as refused:
        check_items([(TEAPOT, 1), (LANTERN, 1), (TEAPOT, 1)])
    assert refused.value.details[0].field == "items[2].productId"


def test_an_order_has_1_to_2000_items() -> None:
    check_items([(UUID(int=number), 1) for number in range(MOST_LINES)])
    for many in (0, MOST_LINES + 1):
        with pytest.raises(Invalid) as refused:
            check_items([(UUID(int=number), 1) for number in range(many)])
        assert refused.value.details[0].field == "items"


def test_an_imported_order_is_delivered_and_paid() -> None:
    events = import_fulfilled("536365", ALICE, NOON, LINES, "GBP")
    assert events == [OrderImported("536365", ALICE, NOON, LINES, pounds("9.49"))]
    order = state_of(evolve, events)
    assert (order.status, order.paid, order.shipped) == ("delivered", True, True)


def test_an_order_goes_from_placed_to_delivered() -> None:
    order = order_after()
    assert pay(order, " bank-1 ", pounds("9.490")) == [PAID]
    order = evolve(order, PAID)
    assert ship(order, "Royal Mail", "RM1") == [SHIPPED]
    order = evolve(order, SHIPPED)
    assert deliver(order) == [OrderDelivered()]
    assert evolve(order, OrderDelivered()).status == "delivered"


@pytest.mark.parametrize("amount", [pounds("9.48"), pounds("9.50"), Money(Decimal("9.49"), "EUR")])
def test_exactly_the_total_is_paid(amount: Money) -> None:
    with pytest.raises(Invalid) as refused:
        pay(order_after(), "bank-1", amount)
    assert refused.value.details[0].field == "amount"


def test_an_order_is_paid_once() -> None:
    with pytest.raises(OrderAlreadyPaid):
        pay(order_after(PAID), "bank-2", pounds("9.49"))


def test_a_cancelled_order_is_not_paid() -> None:
    with pytest.raises(OrderAlreadyPaid):
        pay(order_after(CANCELLED), "bank-1", pounds("9.49"))


def test_an_unpaid_order_is_not_shipped() -> None:
    with pytest.raises(OrderNotPaid):
        ship(order_after(), "Royal Mail", "RM1")


def test_an_order_ships_once() -> None:
    with pytest.raises(OrderNotPaid):
        ship(order_after(PAID, SHIPPED), "Royal Mail", "RM2")


def test_only_a_shipped_order_is_delivered() -> None:
    for before in ([], [PAID], [PAID, SHIPPED, OrderDelivered()]):
        with pytest.raises(OrderNotShipped):
            deliver(order_after(*before))


def test_an_order_is_cancelled_until_it_is_shipped() -> None:
    assert cancel(order_after(), "changed my mind") == [CANCELLED]
    assert cancel(order_after(PAID), "changed my mind") == [CANCELLED]
    with pytest.raises(OrderAlreadyShipped):
        cancel(order_after(PAID, SHIPPED), "too late")
    with pytest.raises(OrderAlreadyShipped):
        cancel(order_after(PAID, SHIPPED, OrderDelivered()), "too late")


def test_an_order_is_cancelled_once_and_not_after_a_refund() -> None:
    refunded = OrderRefunded("broken", pounds("9.49"), SALE)
    for before in ([CANCELLED], [PAID, refunded], [PAID, SHIPPED, refunded]):
        with pytest.raises(OrderAlreadyCancelled):
            cancel(order_after(*before), "again")


def test_a_paid_order_is_refunded_wherever_the_goods_are() -> None:
    refunded = [OrderRefunded("broken", pounds("9.49"), SALE)]
    assert refund(order_after(PAID), "broken") == refunded
    assert refund(order_after(PAID, SHIPPED), "broken") == refunded
    assert refund(order_after(PAID, SHIPPED, OrderDelivered()), "broken") == refunded


def test_the_refund_of_a_cancelled_order_leaves_the_sales_books_alone() -> None:
    assert refund(order_after(PAID, CANCELLED), "sorry") == [
        OrderRefunded("sorry", pounds("9.49"), None)
    ]


def test_money_that_was_not_paid_or_went_back_is_not_refunded() -> None:
    refunded = OrderRefunded("broken", pounds("9.49"), SALE)
    for before in ([], [CANCELLED], [PAID, refunded], [PAID, CANCELLED, refunded]):
        with pytest.raises(OrderNotPaid):
            refund(order_after(*before), "broken")


def test_stock_is_held_until_the_goods_leave_or_the_order_ends() -> None:
    refunded = OrderRefunded("broken", pounds("9.49"), SALE)
    assert holds_stock(order_after())
    assert holds_stock(order_after(PAID))
    for before in ([PAID, SHIPPED], [CANCELLED], [PAID, refunded]):
        assert not holds_stock(order_after(*before))


def test_a_note_leaves_the_order_as_it_is() -> None:
    [note] = add_note(" leave it\nat the door ")
    assert note == OrderNoteAdded("leave it\nat the door")
    assert order_after(note) == order_after()


@pytest.mark.parametrize("text", ["", "x" * 2_001, "a\x00b"])
def test_a_note_is_printable_and_not_too_long(text: str) -> None:
    with pytest.raises(Invalid):
        add_note(text)


def test_reasons_carriers_and_references_are_needed() -> None:
    with pytest.raises(Invalid):
        cancel(order_after(), " ")
    with pytest.raises(Invalid):
        refund(order_after(PAID), "")
    with pytest.raises(Invalid):
        pay(order_after(), "", pounds("9.49"))
    with pytest.raises(Invalid):
        ship(order_after(PAID), "", "RM1")
    with pytest.raises(Invalid):
        ship(order_after(PAID), "Royal Mail", "")


items = st.tuples(st.integers(1, 1_000_000), st.decimals("0.0001", "999999999999.9999", places=4))


@given(st.lists(items, min_size=1, max_size=30), st.sampled_from(["GBP", "JPY", "KWD"]))
def test_a_total_is_the_rounded_exact_sum(bought: list[tuple[int, Decimal]], currency: str) -> None:
    lines = tuple(
        line_of(TEAPOT, "TEA-1", "Teapot", quantity, Money(price, currency), reserved=False)
        for quantity, price in bought
    )
    exact = sum(quantity * Fraction(price) for quantity, price in bought)
    unit = {"GBP": 100, "JPY": 1, "KWD": 1000}[currency]
    expected = Fraction((exact * unit + Fraction(1, 2)) // 1, unit)
    assert Fraction(total_of(lines, currency).amount) == expected
    assert total_of(lines, currency) == total_of(lines[::-1], currency)


def test_the_largest_order_is_summed_exactly() -> None:
    most = Money(Decimal("999999999999.9999"), "GBP")
    row = line_of(TEAPOT, "TEA-1", "Teapot", 1_000_000, most, reserved=False)
    exact = Fraction(most.amount) * 1_000_000 * MOST_LINES
    assert Fraction(total_of((row,) * MOST_LINES, "GBP").amount) == exact


acts = st.sampled_from(["pay", "ship", "deliver", "cancel", "refund"])


@given(st.lists(acts, max_size=12))
def test_an_order_leaves_the_sales_books_once_and_is_refunded_once(asked: list[str]) -> None:
    decide: dict[str, Callable[[Order], list[Event]]] = {
        "pay": lambda order: pay(order, "bank-1", order.total),
        "ship": lambda order: ship(order, "Royal Mail", "RM1"),
        "deliver": deliver,
        "cancel": lambda order: cancel(order, "no"),
        "refund": lambda order: refund(order, "no"),
    }
    events: list[Event] = [PLACED]
    for act in asked:
        try:
            events += decide[act](state_of(evolve, events))
        except Refusal:
            continue
    kinds = [type(event) for event in events]
    assert all(kinds.count(kind) <= 1 for kind in kinds)
    undone = [e for e in events if isinstance(e, OrderCancelled | OrderRefunded) and e.sale]
    assert len(undone) <= 1
    if OrderRefunded in kinds:
        assert kinds.index(OrderPaid) < kinds.index(OrderRefunded)
    if OrderShipped in kinds:
        assert kinds.index(OrderPaid) < kinds.index(OrderShipped)
        assert OrderCancelled not in kinds
