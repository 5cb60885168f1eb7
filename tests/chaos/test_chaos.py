"""A short run keeps every promise, and the judge finds what is planted."""

from decimal import Decimal

import pytest

from tests.chaos.judge import differences
from tests.chaos.ledger import Ordered, books
from tests.chaos.trial import Plan, run

PENNIES = Decimal("4.20")


def test_a_short_run_keeps_every_promise() -> None:
    report = run(Plan(seconds=5, shoppers=4, pause=0.7, seed=7))
    assert not report.broken, report.lines()
    assert report.orders > 20
    assert report.faults.total() > 3


def test_the_books_of_some_orders() -> None:
    orders = {
        "a": Ordered("ada", "tea", 2, PENNIES, "2026-11-25"),
        "b": Ordered("ada", "tea", 1, PENNIES, "2026-11-25", "cancelled"),
        "c": Ordered("bob", "mug", 1, PENNIES, "2026-11-26", "refunded"),
    }
    found = books(orders, {"tea": 10, "mug": None})
    assert found["orders"]["b"] == ("cancelled", PENNIES)
    assert found["stock"] == {"tea": 8, "mug": None}
    assert found["users"] == {"ada": 2, "bob": 1}
    assert found["sales by day"] == {"2026-11-25": (1, 2, PENNIES)}
    assert found["sales by customer"] == {"ada": (1, 2, PENNIES)}


@pytest.mark.parametrize("shown", [{}, {"a": 2}, {"a": 1, "b": 1}])
def test_a_difference_is_told(shown: dict[str, object]) -> None:
    assert differences({"a": 1}, {"a": 1}) == []
    assert len(differences({"a": 1}, shown)) == 1
