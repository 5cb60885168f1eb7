"""Operators over HTTP, with a conductor, a builder and a worker: what they ask is done."""

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from typing import Any, NamedTuple
from uuid import UUID, uuid4

import httpx
import pytest
from litestar.testing import TestClient

from api.tokens import Tokens
from daybook.operators import conductor
from daybook.operators.conductor import Conductor
from daybook.worker import Poster
from event_store.connections import connect
from projections.rebuilds.rebuild import labour
from projections.switched_on import PROJECTIONS
from tests.api.conftest import (
    ADMIN_EMAIL,
    KEYS,
    Json,
    Person,
    create_admin,
    data_of,
    opened,
    refused,
    register,
)
from tests.api.conftest import new_tools as tools_for
from tests.api.read.conftest import new_app
from tests.conftest import tampering
from tests.domain.given import ORDER
from tests.event_store.given import keyring, rows
from tests.projections.given import STORY, append

WHY = {"reason": "the disk is being replaced"}
PAID = 9  # where in the story the order is paid
SECONDS = 30.0


class Place(NamedTuple):
    """A running Daybook of one process: its administrator, a customer, and its database."""

    admin: Person
    customer: Person
    url: str


@contextmanager
def at_work(database_url: str) -> Iterator[None]:
    """Let a conductor, a builder and a worker work for a block, each in a thread."""
    stop = threading.Event()

    async def conduct() -> None:
        tools = tools_for(database_url)
        async with opened(tools):
            conducting = asyncio.create_task(Conductor(tools, database_url, keyring()).run())
            await asyncio.to_thread(stop.wait)
            conducting.cancel()
            with suppress(asyncio.CancelledError):
                await conducting

    def build() -> None:
        with (
            connect(database_url, name="builder") as one,
            labour(one, PROJECTIONS, keyring()) as work,
        ):
            while not stop.is_set():
                if not work.step(one):
                    stop.wait(0.02)

    def post() -> None:
        with closing(Poster(database_url, keyring())) as poster:
            while not stop.wait(0.02):
                for projection in PROJECTIONS.values():
                    poster.post(projection)

    threads = [
        threading.Thread(target=one) for one in (lambda: asyncio.run(conduct()), build, post)
    ]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


@pytest.fixture(scope="module")
def place(database_url: str) -> Iterator[Place]:
    """Run it with a short history for all the stories of this file."""
    append(database_url, STORY)
    asyncio.run(create_admin(database_url))
    app = new_app(database_url, Tokens(KEYS, "first"))
    with (
        pytest.MonkeyPatch.context() as patched,
        TestClient(app) as client,
        at_work(database_url),
    ):
        patched.setattr(conductor, "LOOK_SECONDS", 0.05)
        yield Place(Person(client, ADMIN_EMAIL), register(client), database_url)


def asked(place: Place, path: str, **body: object) -> Json:
    """Ask for something; return what is to be seen where the answer says."""
    answer = place.admin.ask("POST", f"/projections/{path}", {**WHY, **body})
    assert (answer.status_code, answer.headers["retry-after"]) == (202, "1"), answer.text
    location = answer.headers["location"].removeprefix("/api/v1")
    found = data_of(place.admin.ask("GET", location))
    assert found["operationId"] == data_of(answer)["operationId"]
    return {"location": location, **found}


def ended(place: Place, asked_for: Json) -> Json:
    """Poll until what was asked has ended."""
    ends = time.monotonic() + SECONDS
    while (found := data_of(place.admin.ask("GET", asked_for["location"])))["outcome"] is None:
        assert time.monotonic() < ends, found
        time.sleep(0.03)
    return found


def done(place: Place, path: str, **body: object) -> str:
    """Ask for something that is done; return what came of it."""
    found = ended(place, asked(place, path, **body))
    assert found["outcome"] == "done", found
    return str(found["detail"])


def seen(place: Place, path: str, **expected: object) -> Json:
    """Poll until something is as expected; return it whole."""
    ends = time.monotonic() + SECONDS
    while True:
        found = data_of(place.admin.ask("GET", path))
        if {name: found[name] for name in expected} == expected:
            return found
        assert time.monotonic() < ends, found
        time.sleep(0.03)


def caught_up(place: Place, name: str = "orders") -> None:
    seen(place, f"/projections/{name}", lagEvents=0)


def orders(place: Place) -> int:
    """Return how many orders the view has."""
    ((count,),) = rows(place.url, "select count(*) from orders_v1")
    return int(count)


def test_a_view_stands_still_and_follows_again_and_the_log_says_who_wanted_it_and_why(
    place: Place,
) -> None:
    names = [one["name"] for one in data_of(place.admin.ask("GET", "/projections"))]
    assert names == sorted(PROJECTIONS)
    caught_up(place)
    assert data_of(place.admin.ask("GET", "/projections/orders"))["state"] == "live"
    paused = asked(place, "orders/pause")
    assert ended(place, paused)["detail"] == "It stands still."
    stands = seen(place, "/projections/orders", state="paused")
    assert {one["name"] for one in stands["partitions"]} == {"orders"}
    refused(place.admin.ask("POST", "/projections/orders/pause", WHY), 409, "INVALID_STATE")
    product = {"sku": uuid4().hex, "name": "Tea", "price": {"amount": "4.20", "currency": "GBP"}}
    data_of(place.admin.ask("POST", "/products", {**product, "stock": 1}))
    caught_up(place, "products")
    assert data_of(place.admin.ask("GET", "/projections/orders"))["lagEvents"] > 0
    assert done(place, "orders/resume") == "It follows the log."
    caught_up(place)
    refused(place.admin.ask("POST", "/projections/orders/resume", WHY), 409, "INVALID_STATE")
    newest, before = data_of(place.admin.ask("GET", "/projections/orders/operations?limit=2"))
    assert [newest["action"], before["action"]] == ["resume", "pause"]
    assert (before["reason"], before["askedBy"], before["role"]) == (
        WHY["reason"],
        whoever(place.admin),
        "admin",
    )
    logged = data_of(place.admin.ask("GET", f"/audit/events/{before['position']}"))
    event = logged["event"]
    assert (event["name"], event["actorId"]) == ("projection.paused", before["askedBy"])
    assert event["data"]["reason"] == WHY["reason"]
    [end] = [one for one in logged["caused"] if one["name"] == "projection.operation_ended"]
    assert end["actorId"] == "system"


def whoever(person: Person) -> str:
    return str(data_of(person.ask("GET", "/users/me"))["id"])


def test_a_rebuild_is_followed_to_its_end(place: Place) -> None:
    caught_up(place)
    found = ended(place, asked(place, "orders/rebuild", throttle=100))
    assert (found["outcome"], found["parameters"]["throttle"]) == ("done", 100)
    assert found["detail"].endswith("the new tables are equal")
    job = found["rebuild"]
    assert (job["state"], job["comparison"]["equal"]) == ("done", True)
    assert data_of(place.admin.ask("GET", f"/projections/orders/rebuilds/{job['id']}")) == job
    assert job in data_of(place.admin.ask("GET", "/projections/orders/rebuilds"))
    assert done(place, "orders/compare").endswith("the new tables are equal")
    compared = data_of(place.admin.ask("GET", "/projections/orders/rebuilds?limit=1"))
    assert [one["dryRun"] for one in compared] == [True]


def test_what_is_held_is_compared_swapped_in_by_hand_rolled_back_and_pruned(place: Place) -> None:
    caught_up(place)
    before = orders(place)
    done(place, "orders/prune")
    rows(place.url, "delete from orders_v1 where id = %s returning id", ORDER)
    held = asked(place, "orders/rebuild", hold=True)
    job = waits(place, held)
    assert (job["comparison"]["equal"], job["comparison"]["tables"][0]["newRows"]) == (
        False,
        before,
    )
    assert orders(place) == before - 1
    for verb in ("rebuild", "rollback", "prune"):
        refused(place.admin.ask("POST", f"/projections/orders/{verb}", WHY), 409, "INVALID_STATE")
    assert seen(place, "/projections/orders", state="rebuilding")
    assert done(place, "orders/swap") == "It is being swapped in."
    assert ended(place, held)["outcome"] == "done"
    assert orders(place) == before
    assert "are read again" in done(place, "orders/rollback")
    assert orders(place) == before - 1
    assert "are read again" in done(place, "orders/rollback")
    assert orders(place) == before
    assert done(place, "orders/prune") == "1 table dropped."
    nothing = ended(place, asked(place, "orders/rollback"))
    assert nothing["outcome"] == "refused"
    assert nothing["detail"] == "There is nothing that orders could be rolled back to."


def waits(place: Place, held: Json) -> Json:
    """Poll until a rebuild waits to be swapped in."""
    ends = time.monotonic() + SECONDS
    while True:
        found = data_of(place.admin.ask("GET", held["location"]))
        assert found["outcome"] is None, found
        if found["rebuild"] and found["rebuild"]["state"] == "ready":
            job: Json = found["rebuild"]
            return job
        assert time.monotonic() < ends, found
        time.sleep(0.03)


def test_a_rebuild_is_throttled_and_given_up(place: Place) -> None:
    caught_up(place)
    held = asked(place, "users/rebuild", hold=True, throttle=50)
    assert waits(place, held)["throttle"] == 0.5
    assert done(place, "users/throttle", throttle=80) == "Builders work in 80 percent of the time."
    assert waits(place, held)["throttle"] == 0.8
    assert done(place, "users/cancel") == "The rebuild was given up."
    assert ended(place, held)["outcome"] == "cancelled"
    assert seen(place, "/projections/users", state="live")
    for verb, more in (("cancel", {}), ("swap", {}), ("throttle", {"throttle": 50})):
        nothing = ended(place, asked(place, f"users/{verb}", **more))
        assert (nothing["outcome"], "users" in nothing["detail"]) == ("refused", True), nothing


def test_what_could_not_be_applied_is_shown_tried_again_and_left_out(place: Place) -> None:
    caught_up(place)
    with unreadable(place, PAID):
        done(place, "orders/rebuild", onFailure="park")
        [failure] = data_of(place.admin.ask("GET", "/projections/orders/failures"))
        assert (failure["key"], failure["position"]) == (str(ORDER), PAID)
        waiting = failure["waiting"]
        assert waiting > 1
        shown = data_of(place.admin.ask("GET", f"/projections/orders/failures/{PAID}"))
        assert shown["event"]["name"] == "order.paid"
        assert "UnreadableEvent" in shown["failure"]["error"]
        assert seen(place, "/projections/orders", failures=waiting)
        again = done(place, f"orders/failures/{PAID}/retry")
        assert again == f"0 events applied, {waiting} still waiting."
        stopped = ended(place, asked(place, "orders/rebuild"))
        assert stopped["outcome"] == "failed"
        assert f"Event {PAID} cannot be applied" in stopped["detail"]
    assert done(place, "orders/failures/retry") == f"{waiting} events applied, 0 still waiting."
    assert data_of(place.admin.ask("GET", "/projections/orders/failures")) == []
    with unreadable(place, PAID):
        dry = ended(place, asked(place, "orders/rebuild", onFailure="park", dryRun=True))
        assert f"; 1 failure, the first at {PAID}; the new" in dry["detail"]
        assert dry["rebuild"]["firstFailures"][0]["position"] == PAID
        done(place, "orders/rebuild", onFailure="park")
        left_out = done(place, f"orders/failures/{PAID}/skip")
        assert left_out == f"Event {PAID} left out, {waiting - 1} applied, 0 still waiting."
        done(place, "orders/rebuild")  # as was decided
    done(place, "orders/rebuild")
    nothing = ended(place, asked(place, f"orders/failures/{PAID}/retry"))
    assert (nothing["outcome"], f"position {PAID}" in nothing["detail"]) == ("refused", True)
    refused(place.admin.ask("GET", f"/projections/orders/failures/{PAID}"), 404, "NOT_FOUND")


@contextmanager
def unreadable(place: Place, position: int) -> Iterator[None]:
    """Spoil the data of an event for a block."""
    change = "update events set data = %s::jsonb where position = %s"
    with tampering(place.url) as connection:
        row = connection.execute(
            "select data::text from events where position = %s", [position]
        ).fetchone()
        assert row is not None
        connection.execute(change, ['{"spoilt": true}', position])
        try:
            yield
        finally:
            connection.execute(change, [row[0], position])


ASKING = {
    "pause": {},
    "resume": {},
    "rebuild": {},
    "compare": {},
    "throttle": {"throttle": 50},
    "swap": {},
    "cancel": {},
    "rollback": {},
    "prune": {},
    "failures/retry": {},
    "failures/1/retry": {},
    "failures/1/skip": {},
}
LOOKING = ["", "/operations", f"/operations/{UUID(int=7)}", "/rebuilds", "/rebuilds/1", "/failures"]


@pytest.mark.parametrize("verb", ASKING)
def test_only_an_administrator_asks_of_a_view_that_there_is_and_says_why(
    place: Place, verb: str
) -> None:
    before = rows(place.url, "select count(*) from events where name like 'projection.%%'")
    body: dict[str, Any] = {**WHY, **ASKING[verb]}
    ask, path = place.admin.ask, f"/projections/orders/{verb}"
    refused(place.customer.ask("POST", path, body), 403, "FORBIDDEN")
    refused(ask("POST", f"/projections/nothing/{verb}", body), 404, "NOT_FOUND")
    for wrong in (ASKING[verb], {**body, "reason": " "}, {**body, "because": "so"}):
        refused(ask("POST", path, wrong), 422, "VALIDATION_ERROR")
    assert rows(place.url, "select count(*) from events where name like 'projection.%%'") == before


@pytest.mark.parametrize("path", LOOKING)
def test_only_an_administrator_looks_and_only_at_what_there_is(place: Place, path: str) -> None:
    refused(place.customer.ask("GET", f"/projections/orders{path}"), 403, "FORBIDDEN")
    refused(place.admin.ask("GET", f"/projections/nothing{path}"), 404, "NOT_FOUND")


@pytest.mark.parametrize(
    "path",
    [
        f"operations/{UUID(int=7)}",
        "rebuilds/999999",
        f"rebuilds/{10**30}",
        "failures/999999",
        f"failures/{10**30}",
        "failures/0",
    ],
)
def test_what_is_not_there_is_not_found(place: Place, path: str) -> None:
    refused(place.admin.ask("GET", f"/projections/orders/{path}"), 404, "NOT_FOUND")


def test_what_is_no_id_is_malformed(place: Place) -> None:
    answer = place.admin.ask("GET", "/projections/orders/operations/nonsense")
    refused(answer, 400, "MALFORMED_REQUEST")


def anonymous(place: Place, method: str, path: str) -> httpx.Response:
    """Ask without a token."""
    return place.admin.client.request(method, f"/api/v1{path}", json=WHY)


def test_nobody_asks_or_looks_without_a_token(place: Place) -> None:
    refused(anonymous(place, "POST", "/projections/orders/pause"), 401, "UNAUTHENTICATED")
    refused(anonymous(place, "GET", "/projections"), 401, "UNAUTHENTICATED")
