"""A death is laid to an event only if it was on the try, alone, again and again (F43)."""

import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from threading import Thread

import pytest
from psycopg import Connection, OperationalError

from event_store.connections import connect
from event_store.privacy.keyring import NO_KEYS
from event_store.records import Recorded
from projections import orders, products
from projections.posting import suspects
from projections.posting.failures import failures
from projections.posting.leases import Crew
from projections.posting.pages import Pages
from projections.posting.post_page import post_page
from projections.projection import Projection, Rows
from projections.rebuilds.rebuild import Labour, start, unfinished
from tests.event_store.outages import folder, server_in  # noqa: F401 - a fixture
from tests.projections.given import STORY, append, many_orders, stored
from tests.projections.sessions import closed_session
from tests.projections.test_leases import until

ORDERS = orders.PROJECTION
PRODUCTS = products.PROJECTION
COUNTS = """
select max(crashes), max(deaths), count(trying) from projection_checkpoints
 where name = %s and side = %s
"""


class Killed(BaseException):
    """The worker's process ends here."""


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Try suspects again at once."""
    monkeypatch.setattr(suspects, "PAUSE_SECONDS", 0.01)


def doing(what: BaseException, at: int, projection: Projection = ORDERS) -> Projection:
    """Return a projection that something happens to when it comes to an event; all is folded."""

    def fold(rows: Rows, recorded: Recorded) -> None:
        if recorded.position == at:
            raise what
        projection.fold(rows, recorded)

    return replace(projection, fold=fold)


def works(database_url: str, projection: Projection) -> None:
    """Take over what a worker held and post page by page, until its end or that of the log."""
    with closed_session(database_url, "worker") as connection:
        crew = Crew([projection])
        crew.beat(connection)
        pages = Pages([projection])
        while post_page(connection, projection, crew.leases(projection), pages):
            pass
        crew.leave(connection)


def is_cut(connection: Connection) -> bool:
    """Tell whether the server has ended a session."""
    try:
        connection.execute("select 1")
    except OperationalError:
        return True
    return False


def dies(database_url: str, at: int) -> None:
    """Let a worker die when it comes to an event."""
    with pytest.raises(Killed):
        works(database_url, doing(Killed(), at))


def counts(database_url: str, name: str = "orders", side: str = "live") -> tuple[int, int, int]:
    """Return the deaths without progress, those at an event on the try, and what is on the try."""
    with connect(database_url, name="test") as connection:
        row = connection.execute(COUNTS, [name, side]).fetchone()
    assert row is not None
    return (row[0], row[1], row[2])


def parked(database_url: str) -> list[int]:
    """Return the positions that have been parked."""
    with connect(database_url, name="test") as connection:
        return [one.position for one in failures(connection)]


def test_deaths_that_nobody_can_lay_to_an_event_park_none(database_url: str) -> None:
    """Two that were of anything, and one more with an event on the try: it may be chance."""
    append(database_url, many_orders(6))
    dies(database_url, 3)
    dies(database_url, 3)
    dies(database_url, 1)
    works(database_url, ORDERS)
    assert parked(database_url) == []
    with connect(database_url, name="test") as connection:
        assert len(stored(connection, orders.ORDERS)) == 6


def test_deaths_at_different_events_are_not_added_up(database_url: str) -> None:
    append(database_url, many_orders(6))
    for position in (6, 6, 1, 1, 2, 2, 3, 3, 4, 4):
        dies(database_url, position)
    works(database_url, ORDERS)
    assert parked(database_url) == []


def test_a_try_that_ends_otherwise_takes_back_what_was_counted(database_url: str) -> None:
    """An event that its worker has outlived once, whatever hindered it then, is no killer."""
    append(database_url, many_orders(6))
    for _ in range(4):
        dies(database_url, 1)
    works_not = doing(OperationalError("the table is locked"), 1)
    with pytest.raises(OperationalError):
        works(database_url, works_not)
    assert counts(database_url)[1:] == (0, 0)
    dies(database_url, 1)
    works(database_url, ORDERS)
    assert parked(database_url) == []


def test_a_worker_that_dies_before_it_tries_is_not_laid_to_the_event_of_its_forerunner(
    database_url: str,
) -> None:
    append(database_url, many_orders(6))
    for _ in range(3):
        dies(database_url, 1)
    for _ in range(3):
        with closed_session(database_url, "worker") as connection:
            Crew([ORDERS]).beat(connection)
    works(database_url, ORDERS)
    assert parked(database_url) == []


def test_a_worker_that_has_nothing_to_do_tries_nothing(database_url: str) -> None:
    append(database_url, many_orders(1))
    dies(database_url, 1)
    dies(database_url, 1)
    works(database_url, ORDERS)
    with connect(database_url, name="worker") as connection:
        crew = Crew([ORDERS])
        crew.beat(connection)
        connection.execute("update projection_checkpoints set crashes = 2, careful_until = 9")
        [*leases] = crew.leases(ORDERS)
        leases[0].crashes = 2
        assert post_page(connection, ORDERS, leases, Pages([ORDERS])) == 0
        assert counts(database_url)[2] == 0


def test_a_rehearsal_parks_what_kills_at_its_first_death_alone(database_url: str) -> None:
    """Two deaths of anything, one at the event: a copy that dies of it as well makes it certain."""
    append(database_url, many_orders(6))
    for _ in range(3):
        dies(database_url, 4)
    works(database_url, killing_its_process_at(4))
    assert parked(database_url) == [4]
    with connect(database_url, name="test") as connection:
        assert len(stored(connection, orders.ORDERS)) == 5
        [found] = failures(connection)
        assert "exit code 7" in found.error


def killing_its_process_at(at: int) -> Projection:
    """Return a projection of which an event kills its process, but never that of the tests."""
    tests = os.getpid()

    def fold(rows: Rows, recorded: Recorded) -> None:
        if recorded.position == at and os.getpid() != tests:
            os._exit(7)
        orders.fold(rows, recorded)

    return replace(ORDERS, fold=fold)


def test_a_rehearsal_leaves_no_trace(database_url: str) -> None:
    """An event that is innocent is applied once, by its worker."""
    append(database_url, many_orders(6))
    with connect(database_url, name="test") as connection:
        connection.execute(
            "update projection_checkpoints set crashes = 2, careful_until = 6, deaths = 1"
        )
        works(database_url, ORDERS)
        assert len(stored(connection, orders.ORDERS)) == 6
        assert counts(database_url) == (0, 0, 0)


def test_two_views_of_a_process_never_have_an_event_on_the_try_at_once(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or the death that one of them is would be laid to the other's."""
    monkeypatch.setattr(suspects, "TURN_SECONDS", 0.05)
    append(database_url, STORY)
    with connect(database_url, name="test") as connection:
        connection.execute("update projection_checkpoints set crashes = 2, careful_until = 99")
    meanwhile: list[int] = []

    def fold(rows: Rows, recorded: Recorded) -> None:
        if not meanwhile:
            with connect(database_url, name="other") as connection:
                crew = Crew([PRODUCTS])
                crew.beat(connection)
                leases, pages = crew.leases(PRODUCTS), Pages([PRODUCTS])
                other = Thread(
                    target=lambda: meanwhile.append(post_page(connection, PRODUCTS, leases, pages))
                )
                other.start()
                other.join()
                meanwhile.append(counts(database_url, "products")[2])
                crew.leave(connection)
        orders.fold(rows, recorded)

    works(database_url, replace(ORDERS, fold=fold))
    assert meanwhile == [0, 0]
    works(database_url, PRODUCTS)
    with connect(database_url, name="test") as connection:
        assert len(stored(connection, products.PRODUCTS)) == 2


def test_a_crash_of_postgres_is_no_worker_s_death(folder: Iterator[None]) -> None:  # noqa: F811 - the fixture
    """It ends all sessions at once, those of workers that live on as well."""
    with server_in(folder) as server:
        append(server.url, many_orders(3))
        with connect(server.url, name="test") as connection:
            connection.execute("update projection_checkpoints set crashes = 2, careful_until = 99")

        def fold(rows: Rows, recorded: Recorded) -> None:
            if recorded.position == 2:
                os.kill(server.backends("worker")[0], signal.SIGKILL)
            orders.fold(rows, recorded)

        with connect(server.url, name="bystander") as bystander:
            with pytest.raises(OperationalError):
                works(server.url, replace(ORDERS, fold=fold))
            until(lambda: is_cut(bystander))  # before that, Postgres may not know of the death
        until(server.answers)
        with closed_session(server.url, "next") as connection:
            Crew([ORDERS]).beat(connection)
            assert counts(server.url) == (2, 0, 0)
        works(server.url, ORDERS)
        assert counts(server.url) == (3, 0, 0)
        assert parked(server.url) == []


def builds(database_url: str, projection: Projection) -> None:
    """Take over what a builder held and build until its end or that of the rebuild."""
    with (
        closed_session(database_url, "build") as one,
        closed_session(database_url, "beat") as beating,
    ):
        crew = Crew([projection], "building")
        crew.beat(beating)
        at_work = Labour({projection.name: projection}, crew, beating, NO_KEYS)
        while unfinished(one):
            at_work.step(one)
        crew.leave(beating)


@pytest.mark.parametrize(
    ("deaths", "expected"), [([4, 4, 1, 1], []), ([4] * 5, [4])], ids=["chance", "poison"]
)
def test_a_builder_s_deaths_are_laid_to_an_event_in_the_same_way(
    database_url: str, deaths: list[int], expected: list[int]
) -> None:
    append(database_url, many_orders(6))
    with connect(database_url, name="test") as connection:
        folded = replace(ORDERS, opening=None)
        start(connection, folded, on_failure="park")
        for position in deaths:
            with pytest.raises(Killed):
                builds(database_url, doing(Killed(), position))
        builds(database_url, doing(Killed(), expected[0]) if expected else folded)
        assert parked(database_url) == expected
        assert len(stored(connection, orders.ORDERS)) == 6 - len(expected)
