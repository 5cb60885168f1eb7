"""Workers share the partitions of a view, and one that has lost a partition cannot write."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from textwrap import dedent
from types import TracebackType

import pytest
from psycopg import Connection
from psycopg.rows import TupleRow

from event_store.connections import connect
from event_store.records import Recorded
from projections import orders, sales_by_day
from projections.posting import pages as pages_of_the_log
from projections.posting.engine import post_held
from projections.posting.leases import Crew, LeaseLost, joined
from projections.posting.pages import Pages
from projections.posting.pausing import pause, resume
from projections.posting.post_page import post_page
from projections.posting.status import partitions, statuses, workers
from projections.projection import PARTITIONS, Rows
from tests.projections.given import append, everything, many_orders, position_of, post, stored
from tests.projections.sessions import closed_session, until_over

ORDERS = orders.PROJECTION
FROZEN_SECONDS = float(os.environ.get("DAYBOOK_TEST_FREEZE", "0"))
SOURCE = Path(__file__).parents[2] / "src"


@contextmanager
def worker(database_url: str) -> Iterator[tuple[Connection[TupleRow], Crew]]:
    """Give a worker that shares, over a connection of its own."""
    with closed_session(database_url, "worker") as connection:
        crew = Crew([ORDERS])
        crew.beat(connection)
        yield connection, crew


def held(crew: Crew) -> list[int]:
    """Return which partitions of the orders a worker holds."""
    return [one.partition for one in crew.leases(ORDERS)]


def test_workers_take_equal_shares_and_together_they_post_everything(database_url: str) -> None:
    append(database_url, many_orders(40))
    with worker(database_url) as (first, one):
        assert held(one) == [0, 1, 2, 3]
        with worker(database_url) as (second, other):
            assert held(other) == []
            one.beat(first)
            other.beat(second)
            assert sorted(held(one) + held(other)) == [0, 1, 2, 3]
            assert len(held(one)) == len(held(other)) == PARTITIONS // 2
            assert post_held(first, ORDERS, one, Pages([ORDERS])) == 40
            assert position_of(database_url, ORDERS) == 0
            assert 0 < len(stored(first, orders.ORDERS)) < 40
            post_held(second, ORDERS, other, Pages([ORDERS]))
            assert position_of(database_url, ORDERS) == 40
            assert len(stored(first, orders.ORDERS)) == 40
            assert {one.held for one in workers(first)} == {PARTITIONS // 2}
        one.beat(first)
        assert held(one) == [0, 1, 2, 3]
        assert {one.holder for one in partitions(first, "orders")} == {one.worker}


def test_two_workers_fold_at_the_same_time_and_none_what_the_other_folds(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So a second one adds to what the first gets done, and takes nothing from it."""
    monkeypatch.setattr(pages_of_the_log, "PAGE", 10)
    append(database_url, many_orders(40))
    both_inside = threading.Barrier(2, timeout=20)
    folded: Counter[int] = Counter()
    folded_by: dict[int, set[int]] = {}

    def fold(rows: Rows, recorded: Recorded) -> None:
        mine = folded_by.setdefault(threading.get_ident(), set())
        if not mine:
            both_inside.wait()
        mine.add(recorded.position)
        folded[recorded.position] += 1
        orders.fold(rows, recorded)

    slow = replace(ORDERS, fold=fold)
    with worker(database_url) as (first, one), worker(database_url) as (second, other):
        one.beat(first)
        other.beat(second)
        posting = [
            threading.Thread(target=post_held, args=[at, slow, crew, Pages([slow])])
            for at, crew in ((first, one), (second, other))
        ]
        for thread in posting:
            thread.start()
        for thread in posting:
            thread.join(30)
    assert position_of(database_url, ORDERS) == 40
    assert folded == Counter(range(1, 41))
    assert min(map(len, folded_by.values())) > 10
    assert len(everything(database_url)["orders_v1"]) == 40


def test_what_a_dead_worker_held_is_taken_at_once(database_url: str) -> None:
    with worker(database_url) as (first, one), connect(database_url, name="x") as second:
        other = Crew([ORDERS])
        other.beat(second)
        assert held(other) == []
        process = first.info.backend_pid
        first.close()
        until_over(database_url, str(process))
        other.beat(second)
        assert held(other) == [0, 1, 2, 3]
        assert held(one) == [0, 1, 2, 3]  # it does not know yet
        append(database_url, many_orders(5))
        with connect(database_url, name="again") as again, pytest.raises(LeaseLost):
            post_page(again, ORDERS, one.leases(ORDERS), Pages([ORDERS]))
        assert stored(second, orders.ORDERS) == []


# A worker that stops in the middle of a fold, and says what becomes of it when it goes on.
SLEEPER = """
    import sys, time
    from dataclasses import replace
    from event_store.connections import connect
    from projections import orders
    from projections.posting import post_page as posting
    from projections.posting.leases import Crew, LeaseLost
    from projections.posting.pages import Pages

    def fold(rows, recorded):
        print("inside", flush=True)
        sys.stdin.readline()
        orders.fold(rows, recorded)

    slow = replace(orders.PROJECTION, fold=fold)
    crew, pages = Crew([slow]), Pages([slow])
    with connect(sys.argv[1], name="sleeper") as connection:
        crew.beat(connection)
        try:
            posting.post_page(connection, slow, crew.leases(slow), pages)
        except LeaseLost:
            print("lost", flush=True)
        else:
            print("posted", flush=True)
"""


class Started(subprocess.Popen[bytes]):
    """A program that is ended when its test fails: it may be frozen, or wait for the test."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Wait for it."""
        if kind is not None:
            self.kill()
        super().__exit__(kind, value, traceback)


def started(program: str, *arguments: str) -> Started:
    """Start a Python program that knows our modules."""
    return Started(
        [sys.executable, "-c", dedent(program), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": f"{SOURCE}:{SOURCE.parent}"},
    )


def test_a_frozen_worker_is_replaced_within_ten_seconds_and_writes_nothing_when_it_wakes(
    database_url: str,
) -> None:
    append(database_url, many_orders(1))
    with started(SLEEPER, database_url) as sleeper, connect(database_url, name="x") as second:
        assert sleeper.stdout is not None
        assert sleeper.stdin is not None
        assert sleeper.stdout.readline() == b"inside\n"
        sleeper.send_signal(signal.SIGSTOP)
        froze = time.monotonic()
        other = Crew([ORDERS])

        def all_taken() -> bool:
            other.beat(second)
            return len(held(other)) == PARTITIONS

        until(all_taken)
        assert time.monotonic() - froze < 10
        append(database_url, many_orders(3, first=10))
        post_held(second, ORDERS, other, Pages([ORDERS]))
        before = everything(database_url)
        while time.monotonic() < froze + FROZEN_SECONDS:
            other.beat(second)
            time.sleep(0.5)
        sleeper.send_signal(signal.SIGCONT)
        said = sleeper.communicate(b"\n", timeout=20)[0]
        assert said.splitlines()[-1] == b"lost"
        assert everything(database_url) == before
        assert len(before["orders_v1"]) == 4


def until(condition: Callable[[], bool]) -> None:
    """Wait for something to come true."""
    ends = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < ends
        time.sleep(0.2)


@pytest.mark.timeout(60)
def test_a_worker_that_did_not_hear_that_its_page_was_committed_learns_of_it(
    database_url: str,
) -> None:
    """Its connection broke after the commit: it has the token still, and an older position."""
    append(database_url, many_orders(6))
    days = sales_by_day.PROJECTION
    with connect(database_url, name="x") as broken, connect(database_url, name="x") as connection:
        crew = Crew([days])
        crew.beat(connection)
        unheard = [replace(one) for one in crew.leases(days)]
        assert post_page(broken, days, unheard, Pages([days])) == 6
        append(database_url, many_orders(2, first=10))
        post_held(connection, days, crew, Pages([days]))
        assert position_of(database_url, days) == 8
        assert sum(row["orders"] for row in stored(connection, sales_by_day.SALES)) == 8


def test_a_paused_view_stands_still_and_no_page_under_way_is_committed(database_url: str) -> None:
    append(database_url, many_orders(3))
    with worker(database_url) as (connection, crew):
        assert pause(connection, "orders")
        assert not pause(connection, "orders")
        with pytest.raises(LeaseLost):
            post_page(connection, ORDERS, crew.leases(ORDERS), Pages([ORDERS]))
        crew.beat(connection)
        assert held(crew) == []
        assert {one.name for one in statuses(connection) if one.paused} == {"orders"}
        assert resume(connection, "orders")
        assert not resume(connection, "orders")
        crew.beat(connection)
        assert post_held(connection, ORDERS, crew, Pages([ORDERS])) == 3
        with pytest.raises(LookupError):
            pause(connection, "nothing")


def test_a_view_s_position_is_that_of_its_last_partition(database_url: str) -> None:
    append(database_url, many_orders(6))
    with connect(database_url, name="test") as connection:
        with joined(connection, [ORDERS]) as crew:
            post_page(connection, ORDERS, crew.leases(ORDERS)[:3], Pages([ORDERS]))
        [status] = [one for one in statuses(connection) if one.name == "orders"]
        assert (status.position, status.events) == (0, 6)
    post(database_url, ORDERS)
    assert position_of(database_url, ORDERS) == 6
    assert len(everything(database_url)["orders_v1"]) == 6
