"""The engine in any order of events, faults and decisions, against a model that folds by itself.

The model knows what a page means (each product's events in order, kept back from the first that
fails) and asks the database only how far each partition has come. It is shown to notice when the
fencing tokens are not checked, and when a page is not one transaction.
"""

from collections import defaultdict
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar
from uuid import UUID, uuid4

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from psycopg import Connection
from psycopg.rows import TupleRow

from domain.money import Money
from domain.product import ProductListed, StockAdjusted
from event_store.connections import connect
from event_store.event_types import Event, encode
from event_store.records import Recorded
from projections import products
from projections.posting import pages, row_sql
from projections.posting import post_page as posting
from projections.posting.failures import failures, retry, skip
from projections.posting.leases import Crew, LeaseLost
from projections.posting.pages import Pages
from projections.posting.pausing import pause, resume
from projections.projection import PARTITIONS, Rows, partition_of
from projections.rebuilds.rebuild import carry_out, labour, rollback, start, unfinished
from tests.conftest import tampering
from tests.domain.given import NOON, pounds

PRODUCTS = [UUID(int=(7 << 64) + number) for number in range(6)]
WORKERS = 3
INSERT = """
with head as (update log_head set position = position + 1 returning position)
insert into events (position, stream_id, stream_type, version, name, schema_version, data,
    actor_id, actor_role, request_id, correlation_id, command_id, command, occurred_at, recorded_at)
select position, %s, 'product', %s, %s, %s, %s::jsonb, 'a', 'staff', 'r', 'c', %s, 'X', %s, %s
  from head returning position
"""
RESET = """
truncate events, products_v1, projection_failures, projection_parked, projection_workers,
    projection_rebuilds, projection_skips;
update log_head set position = 0;
delete from projection_checkpoints where side <> 'live';
update projection_checkpoints set position = 0, holder = null, token = token + 1, crashes = 0,
    trying = null, deaths = 0;
update projection_versions set paused_at = null;
drop table if exists building.products_v1, retired.products_v1;
"""


class Killed(BaseException):
    """The process ends here."""


@dataclass
class Side:
    """What one side of the view must be: how far it is, and of each product what was applied."""

    positions: list[int] = field(default_factory=lambda: [0] * PARTITIONS)
    applied: dict[UUID, list[int]] = field(default_factory=lambda: defaultdict(list))
    parked: dict[UUID, list[int]] = field(default_factory=lambda: defaultdict(list))


class Machine(RuleBasedStateMachine):
    """Three workers, an operator, and whoever wants to harm them."""

    database_url: ClassVar[str]
    builds: ClassVar[bool] = True

    def __init__(self) -> None:
        super().__init__()
        with tampering(self.database_url) as connection:
            connection.execute(RESET)
        self.superuser = psycopg.connect(self.database_url, autocommit=True)
        self.operator = connect(self.database_url, name="operator")
        self.projection = replace(products.PROJECTION, fold=self.fold)
        self.workers = [self.new_worker() for _ in range(WORKERS)]
        self.log: list[tuple[UUID, Event]] = []
        self.poison: set[int] = set()
        self.skipped: set[int] = set()
        self.kill_in: str | None = None
        self.live, self.retired = Side(), Side()
        self.can_roll_back = False

    def teardown(self) -> None:
        for connection, _ in self.workers:
            connection.close()
        self.operator.close()
        self.superuser.close()

    def new_worker(self) -> tuple[Connection[TupleRow], Crew]:
        return connect(self.database_url, name="worker"), Crew([self.projection])

    def fold(self, rows: Rows, recorded: Recorded) -> None:
        if self.kill_in == "fold":
            raise Killed
        if recorded.position in self.poison:
            raise ValueError("poison")
        products.fold(rows, recorded)

    # What happens.

    @rule(
        which=st.sampled_from(PRODUCTS),
        quantity=st.integers(-3, 9),
        bad=st.sampled_from([0] * 9 + [1]),
    )
    def append(self, which: UUID, quantity: int, bad: int) -> None:
        version = sum(stream == which for stream, _ in self.log) + 1
        event: Event = StockAdjusted(quantity, "counted")
        if version == 1:
            event = ProductListed(str(which), "Tea", Money(pounds("1.00").amount, "GBP"), 0)
        values = [which, version, *encode(event), uuid4(), NOON, NOON]
        row = self.superuser.execute(INSERT, values).fetchone()
        self.log.append((which, event))
        assert row == (len(self.log),)
        if bad and version > 1:
            self.poison.add(len(self.log))

    @rule(number=st.integers(0, WORKERS - 1))
    def beat(self, number: int) -> None:
        connection, crew = self.workers[number]
        crew.beat(connection)

    @rule(
        number=st.integers(0, WORKERS - 1),
        death=st.sampled_from([None, None, None, "fold", "write"]),
    )
    def post(self, number: int, death: str | None) -> None:
        """Post a page with whatever the worker believes that it holds; it may die on the way."""
        connection, crew = self.workers[number]
        leases = crew.leases(self.projection)
        if not leases:
            return
        self.kill_in = death
        try:
            posting.post_page(connection, self.projection, leases, Pages([self.projection]))
        except LeaseLost:
            pass
        except Killed:
            connection.close()
            self.workers[number] = self.new_worker()
        finally:
            self.kill_in = None
        self.follow()

    @rule(number=st.integers(0, WORKERS - 1), wakes=st.booleans())
    def freeze(self, number: int, wakes: bool) -> None:  # noqa: FBT001 - hypothesis names it
        """Let a worker's lease run out, and others post what it believes to hold."""
        worker = self.workers[number][1].worker
        expire = "update projection_workers set expires_at = 'epoch' where worker = %s"
        self.operator.execute(expire, [worker])
        for other, (connection, crew) in enumerate(self.workers):
            if other != number:
                crew.beat(connection)
                self.post(other, None)
        if wakes:
            self.post(number, None)

    @rule()
    def pause_and_resume(self) -> None:
        pause(self.operator, "products")
        resume(self.operator, "products")

    @rule()
    def mend_and_retry(self) -> None:
        if unfinished(self.operator):
            return
        self.poison.clear()
        retry(self.operator, self.projection)
        for which, parked in self.live.parked.items():
            self.live.applied[which] += parked
            parked.clear()

    @rule()
    def skip_one(self) -> None:
        found = failures(self.operator, "products")
        if not found or unfinished(self.operator):
            return
        which, position = UUID(found[0].key), found[0].position
        parked = self.live.parked[which]
        assert parked[0] == position
        skip(self.operator, self.projection, str(which), position)
        self.skipped.add(parked.pop(0))
        while parked and parked[0] not in self.poison:
            self.live.applied[which].append(parked.pop(0))

    @precondition(lambda self: self.builds)
    @rule(steps=st.integers(1, 2))
    def build_and_be_killed(self, steps: int) -> None:
        if not unfinished(self.operator):
            start(self.operator, self.projection, on_failure="park")
        with labour(self.operator, {"products": self.projection}) as at_work:
            for _ in range(steps):
                if unfinished(self.operator)[0].state == "folding":
                    at_work.step(self.operator)

    @precondition(lambda self: unfinished(self.operator))
    @rule()
    def go_on_building_and_swap(self) -> None:
        [job] = unfinished(self.operator)
        carry_out(self.operator, self.projection, job, lambda *_: None)
        self.retired, self.live, self.can_roll_back = self.live, Side(), True
        self.follow()

    @precondition(lambda self: self.can_roll_back and not unfinished(self.operator))
    @rule()
    def roll_back(self) -> None:
        rollback(self.operator, self.projection)
        self.live, self.retired = self.retired, self.live
        self.follow()

    # What must be.

    def follow(self) -> None:
        """Apply in the model what the database says that the engine has passed."""
        query = "select partition, position from projection_checkpoints"
        query += " where name = 'products' and side = 'live'"
        for partition, position in self.operator.execute(query.encode()).fetchall():
            before = self.live.positions[partition]
            assert position >= before
            for number in range(before + 1, position + 1):
                which, _ = self.log[number - 1]
                left_out = number in self.poison & self.skipped and not self.live.parked[which]
                if partition_of(which) == partition and not left_out:
                    waits = self.live.parked[which] or number in self.poison
                    (self.live.parked if waits else self.live.applied)[which].append(number)
            self.live.positions[partition] = position

    @invariant()
    def the_rows_are_those_of_the_model(self) -> None:
        rows = self.operator.execute("select id, stock, version from products_v1").fetchall()
        expected = {
            which: (self.stock_of(applied), self.version_of(which, applied[-1]))
            for which, applied in self.live.applied.items()
            if applied
        }
        assert {which: (stock, version) for which, stock, version in rows} == expected

    @invariant()
    def what_waits_is_what_the_model_keeps_back(self) -> None:
        query = "select key, position from projection_parked where side = 'live' order by 1, 2"
        parked = defaultdict(list)
        for key, position in self.operator.execute(query).fetchall():
            parked[UUID(key)].append(position)
        assert parked == {which: found for which, found in self.live.parked.items() if found}

    def stock_of(self, positions: list[int]) -> int:
        events = [self.log[position - 1][1] for position in positions]
        return sum(one.quantity for one in events if isinstance(one, StockAdjusted))

    def version_of(self, which: UUID, position: int) -> int:
        return sum(stream == which for stream, _ in self.log[:position])


@pytest.fixture
def machine(database_url: str, monkeypatch: pytest.MonkeyPatch) -> type[Machine]:
    """Give the machine with a database, and pages of three events; a worker may die in a write."""
    write_rows = row_sql.write_rows

    class OfThisTest(Machine):
        def __init__(self) -> None:
            super().__init__()
            monkeypatch.setattr(posting, "write_rows", self.write_rows)

        def write_rows(self, *arguments: Any) -> None:
            write_rows(*arguments)
            if self.kill_in == "write":
                raise Killed

    OfThisTest.database_url = database_url
    monkeypatch.setattr(pages, "PAGE", 3)
    return OfThisTest


def run(machine: type[Machine], examples: int, steps: int) -> None:
    """Try a number of stories, always the same."""
    how = settings(
        max_examples=examples,
        stateful_step_count=steps,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(machine, settings=how)


def test_the_engine_keeps_its_promises_in_any_order(machine: type[Machine]) -> None:
    run(machine, examples=25, steps=30)


# As `move_partitions`, but it believes whoever calls it.
UNFENCED = """
with given (n, v, s, p, t, a, b) as (
    values (%s::text, %s::int, %s::text, %s::int[], %s::bigint[], %s::bigint, %s::bigint)
)
update projection_checkpoints c set position = b from given
 where c.name = n and c.version = v and c.side = s and c.partition = any(p)
"""


def test_the_machine_notices_when_tokens_are_not_checked(
    machine: type[Machine], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(posting, "MOVE", UNFENCED)
    machine.builds = False
    with pytest.raises(AssertionError):
        run(machine, examples=200, steps=40)


def test_the_machine_notices_when_a_page_is_not_one_transaction(
    machine: type[Machine], monkeypatch: pytest.MonkeyPatch
) -> None:
    write = posting.write

    def committed_apart(_connection: Connection[TupleRow], *rest: Any) -> None:
        with connect(machine.database_url, name="apart") as other:
            write(other, *rest)

    monkeypatch.setattr(posting, "write", committed_apart)
    machine.builds = False
    with pytest.raises(AssertionError):
        run(machine, examples=200, steps=40)
