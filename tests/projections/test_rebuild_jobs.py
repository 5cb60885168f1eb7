"""A rebuild is a job: it goes on where it was killed, compares, waits, and can be undone."""

import signal
import threading
import time
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from daybook.operators.obeying import what_was_made
from domain.money import Money
from domain.order import OrderPaid, OrderPlaced, line_of
from domain.product import ProductListed
from event_store.connections import connect
from event_store.privacy.keyring import NO_KEYS
from event_store.records import Recorded
from projections import orders, products, sales_by_day
from projections.posting.engine import catch_up
from projections.posting.failures import failures
from projections.posting.folding import fold
from projections.posting.pages import Pages
from projections.posting.status import partitions
from projections.projection import Projection, Rows
from projections.rebuilds import building, built_rows, once, swapping
from projections.rebuilds.comparing import Comparison, compare
from projections.rebuilds.jobs import Failed
from projections.rebuilds.rebuild import (
    Rebuild,
    RebuildFailed,
    RebuildRunning,
    cancel,
    carry_out,
    find,
    labour,
    prune,
    rebuild,
    rebuilds,
    rest,
    rollback,
    start,
    swap,
    throttle,
    unfinished,
)
from reactions.erasure import COMPARISONS
from tests.domain.given import ALICE, NOON, ORDER, TEAPOT, pounds
from tests.projections.given import (
    STORY,
    append,
    everything,
    many_orders,
    position_of,
    post,
    stored,
)
from tests.projections.test_failures import POISONED
from tests.projections.test_leases import started
from tests.projections.test_posting import HUGE

ORDERS = orders.PROJECTION
PRODUCTS = products.PROJECTION


def done(database_url: str, projection: Projection, **how: object) -> Rebuild:
    """Carry a rebuild out here; return what became of it."""
    with connect(database_url, name="rebuild") as connection:
        job = start(connection, projection, **how)
        carry_out(connection, projection, job, lambda *_: None)
        return find(connection, job.id)


# A builder that writes small stretches, says how far it is, and waits to be killed half-way.
BUILDER = """
    import sys, time
    from event_store.connections import connect
    from projections import orders
    from projections.rebuilds import building, built_rows
    from projections.rebuilds.rebuild import labour, start, unfinished

    built_rows.MOST_ROWS, building.PAGE = 20, 20
    building.STRIPE, building.MOST_OPENED = 10, 40
    with connect(sys.argv[1], name="builder") as connection:
        start(connection, orders.PROJECTION)
        with labour(connection, {"orders": orders.PROJECTION}) as at_work:
            while at_work.step(connection):
                if unfinished(connection)[0].position >= 60:
                    print("half", flush=True)
                    time.sleep(60)
"""


def test_a_rebuild_whose_builder_is_killed_goes_on_where_it_was(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    orders_, total = many_orders(100), pounds("8.50")
    paid = [(stream_id, OrderPaid("R", total)) for stream_id, _ in orders_[::2]]
    append(database_url, [*STORY, *orders_, *paid])
    post(database_url)
    live = everything(database_url)
    with started(BUILDER, database_url) as builder:
        assert builder.stdout is not None
        assert builder.stdout.readline() == b"half\n"
        builder.send_signal(signal.SIGKILL)
    folded: set[int] = set()

    def fold(rows: Rows, recorded: Recorded) -> None:
        folded.add(recorded.position)
        orders.fold(rows, recorded)

    monkeypatch.setattr(building, "PAGE", 20)
    with connect(database_url, name="rebuild") as connection:
        [left] = unfinished(connection)
        assert (left.state, 60 <= left.position < left.target) == ("folding", True)
        ends = time.monotonic() + 10
        while any(one.holder for one in partitions(connection, "orders")):
            assert time.monotonic() < ends
            time.sleep(0.05)
        rebuild(connection, replace(ORDERS, fold=fold), lambda *_: None)
        assert find(connection, left.id).state == "done"
    assert min(folded) > left.position
    assert len(folded) < len(orders_)  # the rest is made by Postgres
    assert everything(database_url) == live


# A builder that says after each step in which state its rebuild is, and waits to be killed in one.
STEPPER = """
    import sys, time
    from event_store.connections import connect
    from projections import orders
    from projections.rebuilds.rebuild import labour, start, unfinished

    with connect(sys.argv[1], name="builder") as connection:
        start(connection, orders.PROJECTION)
        with labour(connection, {"orders": orders.PROJECTION}) as at_work:
            while at_work.step(connection):
                if unfinished(connection)[0].state == sys.argv[2]:
                    print("there", flush=True)
                    time.sleep(60)
"""


@pytest.mark.parametrize("state", ["indexing", "catching_up", "comparing", "swapping"])
def test_a_rebuild_whose_builder_is_killed_in_any_state_is_finished_by_the_next(
    database_url: str, state: str
) -> None:
    append(database_url, many_orders(20))
    post(database_url)
    live = everything(database_url)
    with started(STEPPER, database_url, state) as builder:
        assert builder.stdout is not None
        assert builder.stdout.readline() == b"there\n"
        builder.send_signal(signal.SIGKILL)
    assert everything(database_url) == live
    with connect(database_url, name="rebuild") as connection:
        [left] = unfinished(connection)
        assert left.state == state
        ends = time.monotonic() + 10
        while any(one.holder for one in partitions(connection, "orders") if one.side != "live"):
            assert time.monotonic() < ends
            time.sleep(0.05)
        carry_out(connection, ORDERS, left, lambda *_: None)
        found = find(connection, left.id)
        assert found.state == "done"
        assert found.comparison is not None
        assert found.comparison.equal
    assert everything(database_url) == live


def test_a_dry_run_says_what_would_change_and_changes_nothing(database_url: str) -> None:
    append(database_url, STORY)
    post(database_url)
    with connect(database_url, name="test") as connection:
        connection.execute("update products_v1 set stock = 1 where sku = 'TEA-1'")
        before = everything(database_url)
        job = done(database_url, PRODUCTS, dry_run=True)
        assert (job.state, job.rows, job.failures) == ("done", {"products_v1": (2, 2)}, 0)
        assert job.comparison is not None
        assert not job.comparison.equal
        [table] = job.comparison.tables
        [difference] = table.differences
        assert '"stock":1,' in str(difference.live)
        assert '"stock":9,' in str(difference.new)
        assert everything(database_url) == before
        assert {one.side for one in partitions(connection)} == {"live"}


def test_a_dry_run_says_what_could_not_be_applied(database_url: str) -> None:
    """Nothing of it is parked in the live view, so it is said nowhere else."""
    append(database_url, STORY)
    post(database_url)
    job = done(database_url, POISONED, dry_run=True, on_failure="park")
    assert (job.state, job.failures) == ("done", 1)
    assert job.first_failures == [Failed(8, str(TEAPOT), "ValueError: poison")]
    assert job.comparison is not None
    assert not job.comparison.equal
    with connect(database_url, name="test") as connection:
        assert failures(connection) == []


def test_what_is_compared_while_somebody_is_forgotten_is_compared_again(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a comparison that began before would keep what the erasure has just cleared."""
    append(database_url, STORY)
    post(database_url)
    compared: list[int] = []

    def compare_slowly(connection: Any, projection: Projection, position: int) -> Comparison:
        found = compare(connection, projection, position)
        compared.append(position)
        if len(compared) == 1:
            with connect(database_url, name="erasure") as other:
                other.execute(COMPARISONS, {"user": ALICE})
        return found

    monkeypatch.setattr("projections.rebuilds.once.compare", compare_slowly)
    job = done(database_url, PRODUCTS, dry_run=True)
    assert job.state == "done"
    assert compared == [len(STORY)] * 2


def test_a_rebuild_finds_equal_what_is_equal_whatever_comes_in_meanwhile(
    database_url: str,
) -> None:
    append(database_url, [*STORY, *many_orders(50)])
    post(database_url)
    job = done(database_url, ORDERS)
    assert job.comparison is not None
    assert job.comparison.equal
    assert job.rows == {"orders_v1": (53, 53)}
    assert job.swap_ms is not None
    assert job.swap_ms < 2_000


@pytest.fixture
def url_behind(database_url: str) -> str:
    """Give a database whose view of orders is three events behind, and held by nobody."""
    append(database_url, STORY)
    post(database_url)
    append(database_url, many_orders(3))
    return database_url


def test_a_view_that_nobody_posts_for_a_moment_is_waited_for_and_compared(
    url_behind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(once, "UNPOSTED_SECONDS", 60)
    later = threading.Timer(0.5, post, [url_behind, ORDERS])
    later.start()
    job = done(url_behind, ORDERS, dry_run=True)
    later.join()
    assert job.comparison is not None
    assert job.comparison.equal
    assert what_was_made(job) == "orders_v1: 6 rows; the new tables are equal"


def test_a_view_that_stands_still_is_not_waited_for_and_that_is_said(
    url_behind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(once, "UNPOSTED_SECONDS", 0.2)
    job = done(url_behind, ORDERS, dry_run=True)
    assert (job.state, job.rows, job.comparison) == ("done", {"orders_v1": (3, 6)}, None)
    said = "not compared, for the view in use stands still behind the new tables"
    assert what_was_made(job) == f"orders_v1: 6 rows; {said}"


def test_a_rebuild_that_is_cancelled_while_it_waits_for_the_view_ends(
    url_behind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(once, "UNPOSTED_SECONDS", 60)
    waiting = threading.Event()
    is_posted = once.is_posted

    def looked(*of: Any) -> bool:
        waiting.set()
        return is_posted(*of)

    def cancel_it() -> None:
        assert waiting.wait(60)
        with connect(url_behind, name="operator") as connection:
            cancel(connection, ORDERS)

    monkeypatch.setattr(once, "is_posted", looked)
    operator = threading.Thread(target=cancel_it)
    operator.start()
    with pytest.raises(RebuildFailed, match=r"orders: it was cancelled\."):
        done(url_behind, ORDERS, dry_run=True)
    operator.join()


def test_what_is_held_waits_until_it_is_let_go(database_url: str) -> None:
    append(database_url, STORY)
    post(database_url)
    with connect(database_url, name="test") as connection:
        connection.execute("delete from products_v1")
        job = done(database_url, PRODUCTS, hold=True)
        assert job.state == "ready"
        assert stored(connection, products.PRODUCTS) == []
        with pytest.raises(RebuildRunning):
            rollback(connection, PRODUCTS)
        append(database_url, many_orders(3))
        let_go = swap(connection, "products")
        carry_out(connection, PRODUCTS, let_go, lambda *_: None)
        assert len(stored(connection, products.PRODUCTS)) == 2
        assert find(connection, job.id).state == "done"
        with pytest.raises(LookupError):
            swap(connection, "products")


def test_what_came_meanwhile_is_applied_before_the_live_view_is_locked(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So the swap is short, however much that was."""
    did: list[tuple[str, int]] = []
    lock = swapping.lock

    def folding(*given: Any, **more: Any) -> Any:
        did.append(("fold", len(given[3])))
        return fold(*given, **more)

    def locking(*given: Any) -> Any:
        did.append(("lock", len(given[3])))
        return lock(*given)

    append(database_url, many_orders(5))
    post(database_url, ORDERS)
    done(database_url, ORDERS, hold=True)
    append(database_url, many_orders(205), after=5)
    post(database_url, ORDERS)
    with connect(database_url, name="test") as connection:
        monkeypatch.setattr("projections.rebuilds.swapping.fold", folding)
        monkeypatch.setattr("projections.rebuilds.swapping.lock", locking)
        swapping.swap_patiently(connection, ORDERS, "building", NO_KEYS)
    assert did[0] == ("lock", 1)
    assert did[-1] == ("lock", 2)
    assert ("fold", 200) in did
    assert len(everything(database_url)["orders_v1"]) == 205


def test_a_cancelled_rebuild_leaves_nothing_behind(database_url: str) -> None:
    append(database_url, STORY)
    post(database_url)
    before = everything(database_url)
    with connect(database_url, name="test") as connection:
        with pytest.raises(LookupError):
            cancel(connection, ORDERS)
        with labour(connection, {"orders": ORDERS}) as at_work:
            start(connection, ORDERS, throttle=0.5)
            at_work._crew.beat(connection)
            assert at_work.step(connection)
            assert throttle(connection, "orders", 1.0).throttle == 1.0
            with pytest.raises(ValueError, match=r"0\.05"):
                throttle(connection, "orders", 0)
            assert cancel(connection, ORDERS).state == "cancelled"
            assert not at_work.step(connection)
        assert everything(database_url) == before
        gone = connection.execute("select to_regclass('building.orders_v1')").fetchone()
        assert gone == (None,)
        assert rebuilds(connection, "orders")[0].state == "cancelled"
    assert done(database_url, ORDERS).state == "done"


@pytest.mark.parametrize("throttle", [0.25, 1.0])
def test_a_rebuild_takes_its_share_of_the_time_and_no_more(
    database_url: str, monkeypatch: pytest.MonkeyPatch, throttle: float
) -> None:
    monkeypatch.setattr(building, "PAGE", 5)
    monkeypatch.setattr(building, "MOST_SECONDS", 0.02)
    append(database_url, many_orders(40))
    at_it = [0.0]

    def fold(rows: Rows, recorded: Recorded) -> None:
        began = time.monotonic()
        orders.fold(rows, recorded)
        time.sleep(0.005)
        at_it[0] += time.monotonic() - began

    began = time.monotonic()
    job = done(database_url, replace(ORDERS, fold=fold), throttle=throttle)
    assert job.state == "done"
    assert time.monotonic() - began >= at_it[0] / throttle


def test_a_rebuild_that_rests_for_long_goes_on_when_it_may_work_more(database_url: str) -> None:
    append(database_url, many_orders(1))
    with connect(database_url, name="test") as one, connect(database_url, name="x") as other:
        job = start(one, ORDERS, throttle=0.05)
        resting = threading.Thread(target=rest, args=[one, job, 60.0])
        began = time.monotonic()
        resting.start()
        throttle(other, "orders", 1.0)
        resting.join(30)
        assert not resting.is_alive()
        cancelled = find(other, job.id)
        cancel(other, ORDERS)
        rest(one, msgspec.structs.replace(cancelled, throttle=0.05), 60.0)
        assert time.monotonic() - began < 30


def test_the_version_before_comes_back_up_to_date_and_can_be_dropped(database_url: str) -> None:
    append(database_url, STORY)
    post(database_url)
    with connect(database_url, name="test") as connection:
        connection.execute("update orders_v1 set reference = 'as it was'")
        with pytest.raises(LookupError):
            rollback(connection, ORDERS)
        done(database_url, ORDERS)
        append(database_url, many_orders(5))
        post(database_url)
        new = everything(database_url)["orders_v1"]
        assert len(new) == 8
        rolled_back = rollback(connection, ORDERS)
        assert rolled_back.rows == {"orders_v1": (8, 8)}
        old = stored(connection, orders.ORDERS)
        assert sum(row["reference"] == "as it was" for row in old) == 3
        assert len(old) == 8
        assert position_of(database_url, ORDERS) == len(STORY) + 5
        append(database_url, many_orders(2, first=50))
        post(database_url)
        rollback(connection, ORDERS)
        newest = stored(connection, orders.ORDERS)
        assert [row for row in newest if row in new] == new
        assert len(newest) == 10
        assert prune(connection, ORDERS) == 1
        assert prune(connection, ORDERS) == 0
        with pytest.raises(LookupError):
            rollback(connection, ORDERS)


def test_an_event_that_cannot_be_applied_stops_a_rebuild_or_is_parked_as_one_likes(
    database_url: str,
) -> None:
    append(database_url, STORY)
    post(database_url)
    before = everything(database_url)
    with pytest.raises(RebuildFailed, match="Event 8 cannot be applied: ValueError: poison"):
        done(database_url, POISONED)
    assert everything(database_url) == before
    parked = done(database_url, POISONED, on_failure="park")
    assert (parked.state, parked.failures, parked.first_failures[0].position) == ("done", 1, 8)
    with connect(database_url, name="test") as connection:
        assert [one.position for one in failures(connection)] == [8]
        assert done(database_url, PRODUCTS).state == "done"
        assert failures(connection) == []
    assert everything(database_url) == before


def test_stretches_of_any_size_lead_to_the_same_rows(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows that left the memory are read back and written again, not twice and not anew."""
    append(database_url, [*STORY, *many_orders(40)])
    post(database_url)
    live = everything(database_url)
    monkeypatch.setattr(building, "PAGE", 3)
    monkeypatch.setattr(built_rows, "MOST_ROWS", 4)
    for projection in (ORDERS, PRODUCTS, sales_by_day.PROJECTION):
        job = done(database_url, projection)
        assert job.comparison is not None
        assert job.comparison.equal
    assert everything(database_url) == live


def test_a_retired_view_does_not_hinder_the_next_rebuild(database_url: str) -> None:
    append(database_url, STORY)
    with connect(database_url, name="test") as connection:
        for _ in range(3):
            done(database_url, PRODUCTS)
            assert catch_up(connection, PRODUCTS, Pages([PRODUCTS])) == 0
        assert len(stored(connection, products.PRODUCTS)) == 2
        sides = sorted(one.side for one in partitions(connection, "products"))
        assert sides == ["live"] * 4 + ["retired"] * 4


@pytest.mark.parametrize("text", [r"\N \. %s {NULL} \\", "\t\n\r é\u0301 灯\U0001f3ee", "\"'"])
def test_texts_are_copied_as_they_are(database_url: str, text: str) -> None:
    listed = ProductListed(text, text, Money(HUGE, "GBP"), 10**9)
    line = line_of(TEAPOT, text, text, 1, Money(HUGE, "GBP"), reserved=True)
    placed = OrderPlaced(ALICE, NOON, (line,), Money(HUGE, "GBP"))
    append(database_url, [(TEAPOT, listed), (ORDER, placed)])
    post(database_url)
    for projection in (PRODUCTS, ORDERS):
        job = done(database_url, projection)
        assert job.comparison is not None
        assert job.comparison.equal
