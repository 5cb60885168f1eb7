"""An event that cannot be applied waits with all after it of its key; everything else goes on."""

import signal
from dataclasses import replace
from uuid import UUID

import psycopg
import pytest

from domain import product
from event_store.connections import connect
from event_store.records import Recorded
from projections import orders, products, sales_by_product, users
from projections.posting.engine import catch_up
from projections.posting.failures import failure, failures, retry, skip
from projections.posting.pages import Pages
from projections.posting.post_page import ProjectionFailed
from projections.posting.status import statuses
from projections.projection import Projection, Rows
from projections.rebuilds.rebuild import RebuildFailed, rebuild
from tests.conftest import tampering
from tests.domain.given import LANTERN, ORDER, TEAPOT
from tests.projections.given import STORY, append, everything, many_orders, post, stored
from tests.projections.sessions import until_over
from tests.projections.test_leases import started

POISON = 8  # the first reservation of the teapot


def failing_at(projection: Projection, *positions: int, error: Exception) -> Projection:
    """Return a projection that cannot apply the events at some positions."""

    def fold(rows: Rows, recorded: Recorded) -> None:
        if recorded.position in positions:
            raise error
        projection.fold(rows, recorded)

    return replace(projection, fold=fold)


POISONED = failing_at(products.PROJECTION, POISON, error=ValueError("poison"))


def post_poisoned(database_url: str, projection: Projection = POISONED) -> None:
    """Post a view with a projection that fails."""
    with connect(database_url, name="test") as connection:
        assert catch_up(connection, projection, Pages([projection])) == len(STORY)


def expected(database_url: str) -> dict[str, list[dict[str, object]]]:
    """Return what all views are when nothing fails, and begin anew."""
    append(database_url, STORY)
    post(database_url)
    found = everything(database_url)
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("update projection_checkpoints set position = 0")
        for table in found:
            connection.execute(f"truncate {table}".encode())
    return found


def test_only_the_later_events_of_its_key_wait(database_url: str) -> None:
    append(database_url, STORY)
    post_poisoned(database_url)
    with connect(database_url, name="test") as connection:
        teapot, lantern = stored(connection, products.PRODUCTS)
        assert (teapot["id"], teapot["stock"], teapot["version"]) == (TEAPOT, 10, 1)
        assert (lantern["id"], lantern["status"]) == (LANTERN, "withdrawn")
        [found] = failures(connection)
        assert (found.name, found.key, found.position) == ("products", str(TEAPOT), POISON)
        assert (found.waiting, found.attempts, found.error) == (5, 1, "ValueError: poison")
        detail = failure(connection, "products", str(TEAPOT))
        assert (detail.event.name, detail.event.stream_id) == ("product.stock_reserved", TEAPOT)
        assert "raise error\nValueError: poison" in detail.traceback
        [status] = [one for one in statuses(connection) if one.name == "products"]
        assert (status.events, status.parked, status.failure) == (0, 5, None)
        with pytest.raises(LookupError):
            failure(connection, "products", str(LANTERN))


def test_an_event_that_fails_half_way_leaves_no_trace(database_url: str) -> None:
    def fold(rows: Rows, recorded: Recorded) -> None:
        products.fold(rows, recorded)
        if recorded.position == POISON:
            raise ValueError("poison")

    append(database_url, STORY)
    post_poisoned(database_url, half := replace(products.PROJECTION, fold=fold))
    with connect(database_url, name="test") as connection:
        assert retry(connection, half).applied == 0
        teapot, _ = stored(connection, products.PRODUCTS)
        assert (teapot["stock"], teapot["version"]) == (10, 1)
        assert retry(connection, products.PROJECTION).waiting == 0
        teapot, _ = stored(connection, products.PRODUCTS)
        assert teapot["stock"] == 10 - 2 + 2 - 1


def test_what_comes_later_waits_too_and_a_retry_drains_all_in_order(database_url: str) -> None:
    whole = expected(database_url)
    post_poisoned(database_url)
    with connect(database_url, name="test") as connection:
        again = retry(connection, POISONED)
        assert (again.keys, again.applied, again.waiting) == (1, 0, 5)
        [found] = failures(connection)
        assert (found.attempts, found.retried_at is not None) == (2, True)
        done = retry(connection, products.PROJECTION, str(TEAPOT))
        assert (done.keys, done.applied, done.waiting) == (1, 5, 0)
        assert failures(connection) == []
        assert everything(database_url)["products_v1"] == whole["products_v1"]
        with pytest.raises(LookupError):
            retry(connection, products.PROJECTION, str(TEAPOT))


def test_a_skip_leaves_out_one_event_and_nothing_else(database_url: str) -> None:
    append(database_url, STORY)
    post_poisoned(database_url)
    with connect(database_url, name="test") as connection:
        with pytest.raises(LookupError):
            skip(connection, products.PROJECTION, str(TEAPOT), POISON + 1)
        skipped = skip(connection, products.PROJECTION, str(TEAPOT), POISON)
        assert (skipped.position, skipped.applied, skipped.waiting) == (POISON, 4, 0)
        [teapot, _] = stored(connection, products.PRODUCTS)
        assert (teapot["stock"], teapot["name"]) == (10 + 2 - 1, "Blue teapot")
        assert failures(connection) == []
        before = everything(database_url)
        rebuild(connection, POISONED, lambda *_: None)
        assert everything(database_url) == before
        assert failures(connection) == []


def test_an_event_that_cannot_be_read_waits_until_it_can(database_url: str) -> None:
    whole = expected(database_url)
    change = "update events set data = %s::jsonb where position = %s returning data::text"
    old = "select data::text from events where position = %s"
    with tampering(database_url) as connection:
        row = connection.execute(old, [POISON]).fetchone()
        connection.execute(change, ['{"quantity": "many"}', POISON])
        post(database_url)
        found = failures(connection, "products")
        assert [(one.key, one.position, one.waiting) for one in found] == [(str(TEAPOT), 8, 5)]
        assert "UnreadableEvent" in found[0].error
        assert row is not None
        connection.execute(change, [row[0], POISON])
        assert retry(connection, products.PROJECTION).waiting == 0
    assert everything(database_url) == whole


def test_an_event_of_several_keys_is_applied_to_those_that_wait_for_nothing(
    database_url: str,
) -> None:
    whole = expected(database_url)

    def fold(rows: Rows, recorded: Recorded) -> None:
        if isinstance(recorded.event, product.ProductListed) and recorded.event.sku == "TEA-1":
            raise ValueError("no teapots")
        sales_by_product.fold(rows, recorded)

    poisoned = replace(sales_by_product.PROJECTION, fold=fold)
    with connect(database_url, name="test") as connection:
        catch_up(connection, poisoned, Pages([poisoned]))
        rows = stored(connection, sales_by_product.SALES)
        assert {row["product_id"] for row in rows} == {LANTERN}
        assert [one.key for one in failures(connection)] == [str(TEAPOT)]
        assert retry(connection, sales_by_product.PROJECTION).waiting == 0
    post(database_url)
    assert everything(database_url) == whole


def test_a_value_that_postgres_cannot_hold_is_found_among_its_neighbours(
    database_url: str,
) -> None:
    append(database_url, many_orders(60))

    def fold(rows: Rows, recorded: Recorded) -> None:
        orders.fold(rows, recorded)
        if recorded.position == 37:
            rows.change(orders.ORDERS, recorded.stream_id)["reference"] = "a\0b"

    poisoned = replace(orders.PROJECTION, fold=fold)
    with connect(database_url, name="test") as connection:
        assert catch_up(connection, poisoned, Pages([poisoned])) == 60
        assert len(stored(connection, orders.ORDERS)) == 59
        assert [one.position for one in failures(connection)] == [37]
        assert retry(connection, orders.PROJECTION).applied == 1
        assert len(stored(connection, orders.ORDERS)) == 60


# Postgres itself ends what writes the third order, so many times, as one of two in a deadlock.
COLLIDING = """
create sequence collisions;
create function collide() returns trigger language plpgsql as $$
begin
    if new.id = '{third}' and nextval('collisions') <= {times} then
        raise exception 'another is in the way' using errcode = '{code}';
    end if;
    return new;
end $$;
create trigger collide before insert on orders_v1 for each row execute function collide();
grant usage on sequence collisions to public
"""


@pytest.mark.parametrize("code", ["40P01", "40001"], ids=["deadlock", "serialization"])
@pytest.mark.parametrize(("times", "parked"), [(4, 0), (1_000, 1)], ids=["passes", "stays"])
def test_a_collision_is_tried_five_times_with_growing_pauses_and_then_parked(
    database_url: str, monkeypatch: pytest.MonkeyPatch, code: str, times: int, parked: int
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr("projections.posting.post_page.time.sleep", pauses.append)
    append(database_url, story := many_orders(4))
    with psycopg.connect(database_url, autocommit=True) as owner:
        owner.execute(COLLIDING.format(third=story[2][0], times=times, code=code).encode())
    with connect(database_url, name="test") as connection:
        assert catch_up(connection, orders.PROJECTION, Pages([orders.PROJECTION])) == 4
        found = failures(connection)
        assert len(found) == parked
        assert len(stored(connection, orders.ORDERS)) == 4 - parked
        first = pauses[:4]
        assert [0.5 <= pause / (0.05 * 2**n) <= 1.5 for n, pause in enumerate(first)] == [True] * 4
        if not parked:
            assert pauses == first
            return
        # The others are written without it, and tried as often each time that it is among them.
        assert found[0].position == 3
        assert "another is in the way" in failure(connection, "orders", found[0].key).traceback
        with psycopg.connect(database_url, autocommit=True) as owner:
            owner.execute("drop trigger collide on orders_v1")
        assert retry(connection, orders.PROJECTION).waiting == 0
        assert len(stored(connection, orders.ORDERS)) == 4


# A worker that an event kills, as a fault in C code or a lack of memory would.
VICTIM = """
    import os, signal, sys
    from dataclasses import replace
    from event_store.connections import connect
    from projections import orders
    from projections.posting import engine
    from projections.posting.pages import Pages

    def fold(rows, recorded):
        if recorded.position == 3:
            os.kill(os.getpid(), signal.SIGSEGV)
        orders.fold(rows, recorded)

    deadly = replace(orders.PROJECTION, fold=fold)
    with connect(sys.argv[1], name="victim") as connection:
        engine.catch_up(connection, deadly, Pages([deadly]))
"""


def test_an_event_that_kills_three_workers_is_parked(database_url: str) -> None:
    """After two deaths of which nobody knows what they were of, it is tried alone."""
    append(database_url, many_orders(6))
    codes = []
    for _ in range(4):
        with started(VICTIM, database_url) as victim:
            codes.append(victim.wait(60))
        until_over(database_url, "victim")
    assert codes == [-signal.SIGSEGV] * 3 + [0]
    with connect(database_url, name="test") as connection:
        [found] = failures(connection)
        assert (found.position, found.error.partition(":")[0]) == (3, "KilledItsWorker")
        assert "SIGSEGV" in found.error
        assert len(stored(connection, orders.ORDERS)) == 5
        assert retry(connection, orders.PROJECTION).waiting == 0
        assert len(stored(connection, orders.ORDERS)) == 6


def test_a_view_that_fails_everywhere_stands_still_instead(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("projections.posting.post_page.MOST_FAILING_KEYS", 5)
    append(database_url, many_orders(20))
    hopeless = failing_at(orders.PROJECTION, *range(1, 21), error=ValueError("no orders"))
    with connect(database_url, name="test") as connection:
        with pytest.raises(ProjectionFailed, match="TOO_MANY_FAILURES"):
            catch_up(connection, hopeless, Pages([hopeless]))
        [status] = [one for one in statuses(connection) if one.name == "orders"]
        assert status.failure is not None
        assert (status.position, failures(connection)) == (0, [])
    post(database_url)
    assert len(everything(database_url)["orders_v1"]) == 20


def test_a_view_that_fails_for_no_event_s_sake_says_so_until_it_goes_on(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    append(database_url, many_orders(3))

    def broken(*_: object) -> None:
        raise RuntimeError("the program is broken")

    with connect(database_url, name="test") as connection:
        with monkeypatch.context() as patched:
            patched.setattr("projections.posting.post_page.write", broken)
            with pytest.raises(RuntimeError):
                catch_up(connection, orders.PROJECTION, Pages([orders.PROJECTION]))
        [stands] = [one for one in statuses(connection) if one.name == "orders"]
        assert stands.failure == "RuntimeError: the program is broken"
        catch_up(connection, orders.PROJECTION, Pages([orders.PROJECTION]))
        [stands] = [one for one in statuses(connection) if one.name == "orders"]
        assert (stands.failure, stands.events) == (None, 0)


def test_what_postgres_says_of_a_row_is_kept_nowhere(database_url: str) -> None:
    """Its details quote the whole row, so the name and address of somebody."""
    append(database_url, STORY)
    with psycopg.connect(database_url, autocommit=True) as owner:
        owner.execute("alter table users_v2 add constraint poor check (name <> 'Alice A.')")
    post(database_url)
    with connect(database_url, name="test") as connection:
        for retried in (False, True):
            if retried:
                assert retry(connection, users.PROJECTION).waiting > 0
            [found] = failures(connection, "users")
            told = failure(connection, "users", found.key)
            for text in (found.error, told.traceback):
                assert 'CheckViolation: new row for relation "users_v2"' in text
                assert "example.com" not in text
        with pytest.raises(RebuildFailed, match='new row for relation "users_v2"') as caught:
            rebuild(connection, users.PROJECTION, lambda *_: None)
        assert "example.com" not in str(caught.value)
        kept = connection.execute("select * from projection_rebuilds").fetchall()
        assert "example.com" not in str(kept)


def test_the_worker_that_holds_a_key_learns_of_its_retry(database_url: str) -> None:
    """Otherwise it would go on to keep back what waits for nothing any more."""
    append(database_url, STORY)
    late = [(UUID(int=7), product.ProductListed("LATE", "Late", STORY[2][1].price, 1))]
    assert late[0][0] != ORDER
    from projections.posting.engine import post_held  # noqa: PLC0415 - beside its use
    from projections.posting.leases import Crew  # noqa: PLC0415 - as above

    with connect(database_url, name="one") as one, connect(database_url, name="two") as two:
        crew = Crew([products.PROJECTION])
        crew.beat(one)
        post_held(one, POISONED, crew, Pages([POISONED]))
        assert any(lease.parked for lease in crew.leases(products.PROJECTION))
        assert retry(two, products.PROJECTION).waiting == 0
        append(database_url, late)
        post_held(one, products.PROJECTION, crew, Pages([products.PROJECTION]))
        assert not any(lease.parked for lease in crew.leases(products.PROJECTION))
        assert len(stored(two, products.PRODUCTS)) == 3
