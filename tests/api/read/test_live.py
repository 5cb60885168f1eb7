"""Event streams: who hears what, nothing missed and nothing twice, and when a stream ends."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple
from uuid import uuid4

import httpx
import psycopg
import pytest
from litestar import Litestar

from api.read.live import hub as hub_room
from api.read.live import listener as listener_room
from api.read.live import sending
from api.read.live.events import CHANGES, frame
from api.read.live.hub import Hub
from api.tokens import Tokens
from event_store.event_types import STORED_AS, encode
from event_store.news import News
from tests.api.conftest import ADMIN_EMAIL, PASSWORD, create_admin
from tests.api.read.conftest import new_app
from tests.api.read.listening import Listening, Told
from tests.event_store.test_event_types import ALICE, EXAMPLES, NOON

Run = Callable[[Coroutine[Any, Any, None]], None]


class Person(NamedTuple):
    """Somebody who is signed in."""

    client: httpx.AsyncClient
    id: str
    token: str

    async def post(self, path: str, body: object) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self.token}"}
        answer = await self.client.post(f"/api/v1{path}", json=body, headers=headers)
        assert answer.is_success, answer.text
        found: dict[str, Any] = answer.json()["data"] if answer.content else {}
        return found


class Shop(NamedTuple):
    """The application, a hub, and those who use it."""

    app: Litestar
    hub: Hub
    admin: Person
    ada: Person
    bob: Person
    product: str

    async def order(self, person: Person | None = None) -> str:
        items = [{"productId": self.product, "quantity": 2}]
        found: str = (await (person or self.ada).post("/orders", {"items": items}))["id"]
        return found

    async def pay(self, order: str) -> None:
        paid = {"reference": "PAY-1", "amount": {"amount": "5.00", "currency": "GBP"}}
        await self.admin.post(f"/orders/{order}/payment", paid)

    def listen(self, path: str, person: Person | None = None, **headers: str) -> Listening:
        return Listening(self.app, path, (person or self.admin).token, **headers)


async def signed_in(client: httpx.AsyncClient, email: str, user_id: str = "") -> Person:
    credentials = {"email": email, "password": PASSWORD}
    answer = await client.post("/api/v1/auth/login", json=credentials)
    return Person(client, user_id, answer.json()["data"]["accessToken"])


async def registered(client: httpx.AsyncClient) -> Person:
    body = {"email": f"{uuid4().hex}@example.com", "password": PASSWORD, "name": "Ada"}
    user = (await client.post("/api/v1/users", json=body)).json()["data"]["id"]
    return await signed_in(client, body["email"], user)


@asynccontextmanager
async def open_shop(app: Litestar) -> AsyncIterator[Shop]:
    transport = httpx.ASGITransport(app)
    async with (
        app.lifespan(),
        httpx.AsyncClient(transport=transport, base_url="http://test") as client,
    ):
        admin = await signed_in(client, ADMIN_EMAIL)
        ada, bob = await registered(client), await registered(client)
        price = {"amount": "2.50", "currency": "GBP"}
        body = {"sku": uuid4().hex, "name": "Tea", "price": price, "stock": None}
        product = (await admin.post("/products", body))["id"]
        hub = app.dependencies["hub"].dependency(None)
        yield Shop(app, hub, admin, ada, bob, product)


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as found:
        yield found


@pytest.fixture(scope="module")
def shop(database_url: str, tokens: Tokens, runner: asyncio.Runner) -> Iterator[Shop]:
    """Open the shop that all tests of this file share."""
    loop, closing = runner.get_loop(), asyncio.Event()
    opened: asyncio.Future[Shop] = loop.create_future()

    async def keep_open() -> None:
        await create_admin(database_url)
        async with open_shop(new_app(database_url, tokens)) as found:
            opened.set_result(found)
            await closing.wait()

    kept = loop.create_task(keep_open())
    loop.run_until_complete(asyncio.wait([kept, opened], return_when="FIRST_COMPLETED"))
    yield opened.result()
    closing.set()
    loop.run_until_complete(kept)


@pytest.fixture
def run(runner: asyncio.Runner, shop: Shop) -> Run:
    """Give what runs a story; nobody may listen any more when it has ended."""

    def to_its_end(story: Coroutine[Any, Any, None]) -> None:
        runner.run(story)
        assert shop.hub.listeners == 0

    return to_its_end


def names(told: list[Told]) -> list[str]:
    return [one.event for one in told]


def test_an_order_is_followed_by_its_owner_and_by_staff(shop: Shop, run: Run) -> None:
    async def story() -> None:
        order = await shop.order()
        owner = await shop.listen(f"/orders/{order}/events?after=0", shop.ada).begun()
        staff = await shop.listen(f"/orders/{order}/events?after=0").begun()
        assert (owner.status, owner.headers["content-type"]) == (200, "text/event-stream")
        assert owner.headers["cache-control"] == "no-store"
        await shop.admin.post(f"/orders/{order}/notes", {"text": "between us"})
        await shop.pay(order)
        heard, all_of_it = await owner.hear(2), await staff.hear(3)
        assert names(heard) == ["order.placed", "order.paid"]
        assert names(all_of_it) == ["order.placed", "order.note_added", "order.paid"]
        assert "between us" not in owner.text
        placed, paid = (one.data for one in heard)
        assert placed["data"]["items"][0]["productId"] == shop.product
        assert placed["data"]["total"] == {"amount": "5.00", "currency": "GBP"}
        assert placed["data"]["userId"] == shop.ada.id
        assert (paid["id"], paid["version"], paid["position"]) == (order, 3, heard[1].id)
        assert paid["data"]["status"] == "paid"
        assert paid["data"]["payment"]["reference"] == "PAY-1"
        assert paid["occurredAt"].endswith("Z")
        await owner.leave()
        await staff.leave()

    run(story())


def test_a_stream_begins_now_unless_it_is_told_where(shop: Shop, run: Run) -> None:
    async def story() -> None:
        order = await shop.order()
        now = await shop.listen(f"/orders/{order}/events", shop.ada).begun()
        assert now.last_id == int(now.headers["daybook-position"])
        await shop.pay(order)
        assert names(await now.hear(1)) == ["order.paid"]
        await now.leave()

    run(story())


def test_who_was_parted_before_anything_happened_misses_nothing(shop: Shop, run: Run) -> None:
    async def story() -> None:
        order = await shop.order()
        first = await shop.listen(f"/orders/{order}/events", shop.ada).begun()
        await first.leave()
        await shop.pay(order)
        path, last = f"/orders/{order}/events", str(first.last_id)
        again = shop.listen(path, shop.ada, Last_Event_ID=last)
        assert names(await again.hear(1)) == ["order.paid"]
        await again.leave()

    run(story())


def test_from_each_position_on_comes_just_what_is_after_it(shop: Shop, run: Run) -> None:
    async def story() -> None:
        orders = [await shop.order() for _ in range(3)]
        for order in orders:
            await shop.pay(order)
        whole = shop.listen("/feed?after=0")
        await whole.until(lambda: names(whole.told).count("order.paid") >= 3)
        ids = [one.id for one in whole.told]
        assert ids == sorted(set(ids))
        for last in ids[-7:-1]:
            by_header = shop.listen("/feed?after=0", Last_Event_ID=str(last))
            for resumed in (by_header, shop.listen(f"/feed?after={last}")):
                expected = [one for one in whole.told if one.id > last]
                assert await resumed.hear(len(expected)) == expected
                await resumed.leave()
        await whole.leave()

    run(story())


def test_clients_that_come_and_go_while_much_happens_hear_all_of_it_once(
    shop: Shop, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "HEARTBEAT_SECONDS", 0.05)

    async def come_and_go(patience: int, last: int, finished: asyncio.Future[int]) -> list[int]:
        heard: list[int] = []
        while not finished.done() or last < finished.result():
            stream = await shop.listen("/feed", Last_Event_ID=str(last)).begun()
            await stream.until(
                lambda: len(stream.told) >= patience or finished.done()  # noqa: B023 - awaited here
            )
            await stream.leave()
            heard += [one.id for one in stream.told]
            last = stream.last_id
        return heard

    async def story() -> None:
        begin = await shop.hub.head()
        finished: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        clients = [
            asyncio.create_task(come_and_go(patience, begin, finished))
            for patience in (1, 2, 5, 17, 1_000)
        ]
        for _ in range(10):
            await asyncio.gather(*(shop.order() for _ in range(6)))
        finished.set_result(await shop.hub.head())
        expected = list(range(begin + 1, finished.result() + 1))
        assert len(expected) == 60
        for client in clients:
            assert await client == expected

    run(story())


def test_what_is_somebody_elses_does_not_exist(shop: Shop, run: Run) -> None:
    async def refused(path: str, person: Person, status: int, **headers: str) -> None:
        stream = shop.listen(path, person, **headers)
        await stream.end()
        assert stream.status == status, stream.text
        assert not json.loads(stream.text)["success"]

    async def story() -> None:
        order = await shop.order()
        last = {"Last-Event-ID": "0"}
        for wrong in (order, shop.product, shop.bob.id, str(uuid4())):
            await refused(f"/orders/{wrong}/events", shop.bob, 404)
            await refused(f"/orders/{wrong}/events?after=0", shop.bob, 404, **last)
        await refused(f"/orders/{shop.product}/events", shop.admin, 404)
        await refused("/feed", shop.ada, 403)
        await refused("/feed", Person(shop.ada.client, "", ""), 401)
        for wrong in ("-1", "x", "1.5", "1" * 19, "\u0661"):
            given = {"Last-Event-ID": wrong.encode().decode("latin-1")}
            await refused(f"/orders/{order}/events", shop.ada, 400, **given)
        await refused("/feed?after=-1", shop.admin, 400)

    run(story())


def test_head_says_what_get_would_and_ends(shop: Shop, run: Run) -> None:
    async def story() -> None:
        stream = shop.listen("/feed", method="HEAD")
        await stream.end()
        assert (stream.status, stream.text, stream.ended) == (200, "", True)

    run(story())


def test_a_stream_ends_with_the_session(shop: Shop, run: Run) -> None:
    async def story() -> None:
        eve = await registered(shop.ada.client)
        order = await shop.order(eve)
        stream = await shop.listen(f"/orders/{order}/events", eve).begun()
        other = await shop.listen(f"/orders/{order}/events").begun()
        began = time.monotonic()
        await eve.post("/auth/logout", None)
        await stream.end()
        assert time.monotonic() - began < 2
        assert stream.ended
        assert not other.task.done()
        await other.leave()

    run(story())


def test_a_stream_ends_with_the_access_token(
    shop: Shop, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        stream = await shop.listen("/feed").begun()
        now = time.time()
        monkeypatch.setattr(time, "time", lambda: now + 3_700)
        await stream.end()
        assert stream.ended

    run(story())


def test_a_client_that_does_not_keep_up_is_cut_off(
    shop: Shop, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener_room, "MOST_WAITING", 10)
    monkeypatch.setattr(sending, "SENDING_SECONDS", 0.5)

    async def story() -> None:
        slow, good = await shop.listen("/feed").begun(), await shop.listen("/feed").begun()
        slow.taking.clear()
        for _ in range(12):
            await shop.order()
        await good.hear(12)
        await slow.end()
        assert not slow.ended  # cut off, not ended: its last answer is no whole one
        await good.leave()

    run(story())


def test_a_silent_stream_gives_a_sign_of_life_with_its_position(
    shop: Shop, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "HEARTBEAT_SECONDS", 0.1)

    async def story() -> None:
        mine = await shop.order()
        stream = await shop.listen(f"/orders/{mine}/events", shop.ada).begun()
        await shop.order()  # another's news are nothing to it, but its position moves on
        head = await shop.hub.head()
        await stream.until(lambda: stream.last_id >= head)
        assert stream.told == []
        assert ": heartbeat" in stream.text
        await stream.leave()

    run(story())


def test_a_lost_connection_to_postgres_costs_no_event(
    shop: Shop, run: Run, database_url: str
) -> None:
    end = "select pg_terminate_backend(pid) from pg_stat_activity where application_name = %s"

    async def story() -> None:
        stream = await shop.listen("/feed").begun()
        lost: list[int] = []
        for _ in range(3):
            with psycopg.connect(database_url, autocommit=True) as connection:
                lost.append(len(connection.execute(end, ["daybook live"]).fetchall()))
            await shop.order()
        assert len(await stream.hear(3)) == 3
        assert 1 <= max(lost) <= 2  # however many listen
        await stream.leave()

    run(story())


def test_a_stream_ends_before_what_this_release_cannot_read_and_others_go_on(
    shop: Shop, run: Run, database_url: str
) -> None:
    change = "update events set schema_version = %s where stream_id = %s and version = 2"

    def set_version(version: int, order: str) -> None:
        with psycopg.connect(database_url, autocommit=True) as connection:
            connection.execute("set session_replication_role = replica")
            connection.execute(change, [version, order])

    async def story() -> None:
        strange, plain = await shop.order(), await shop.order()
        await shop.pay(strange)
        set_version(99, strange)
        behind = shop.listen(f"/orders/{strange}/events?after=0", shop.ada)
        await behind.end()
        assert names(behind.told) == ["order.placed"]
        other = await shop.listen(f"/orders/{plain}/events", shop.ada).begun()
        await shop.pay(plain)
        assert names(await other.hear(1)) == ["order.paid"]
        await other.leave()
        set_version(1, strange)
        path, last = f"/orders/{strange}/events", str(behind.last_id)
        again = shop.listen(path, shop.ada, Last_Event_ID=last)
        assert names(await again.hear(1)) == ["order.paid"]
        await again.leave()

    run(story())


NEWER = """
create function newer() returns trigger language plpgsql as $$
begin new.schema_version := 99; return new; end $$;
create trigger newer before insert on events for each row
    when (new.name = 'order.paid') execute function newer()
"""


def test_a_stream_that_is_live_ends_before_it_too(shop: Shop, run: Run, database_url: str) -> None:
    """Not one of its listeners may go on as if the event had not happened."""

    async def story() -> None:
        order = await shop.order()
        live = await shop.listen(f"/orders/{order}/events?after=0", shop.ada).begun()
        assert names(await live.hear(1)) == ["order.placed"]
        with psycopg.connect(database_url, autocommit=True) as owner:
            owner.execute(NEWER)
            try:
                await shop.pay(order)
                await live.end()
            finally:
                owner.execute("drop trigger newer on events; drop function newer")
        assert names(live.told) == ["order.placed"]

    run(story())


def test_one_user_cannot_take_all_streams(
    shop: Shop, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub_room, "MOST_OF_ONE_USER", 2)

    async def story() -> None:
        two = [await shop.listen("/feed").begun() for _ in range(2)]
        third = shop.listen("/feed")
        await third.end()
        assert (third.status, third.headers["retry-after"]) == (503, "5")
        order = await shop.order()
        another = await shop.listen(f"/orders/{order}/events", shop.ada).begun()
        assert another.status == 200
        for stream in (*two, another):
            await stream.leave()

    run(story())


SECRETS = ("argon2", "sha", "digest", "@", "Alice", "password")


@pytest.mark.parametrize("key", [key for key, event in EXAMPLES.items() if type(event) in CHANGES])
def test_no_secret_and_no_personal_data_is_sent(key: tuple[str, int]) -> None:
    event = EXAMPLES[key]
    name, schema_version, data = encode(event)
    sent = frame(News(1, ALICE, 1, name, schema_version, data, NOON), for_staff=True).decode()
    assert sent.startswith(f"event: {name}\nid: 1\ndata: {{")
    assert sent.endswith("}\n\n")
    assert sent.count("\n") == 4
    assert not [one for one in SECRETS if one in sent]


def test_of_each_event_it_is_decided_whether_clients_see_it() -> None:
    hidden = {"administrator", "projection", "reaction", "session"}
    kinds = {kind for (name, _), kind in STORED_AS.items() if name.split(".")[0] not in hidden}
    unseen = {"UserPasswordChanged", "UserPasswordRehashed"}
    assert {kind.__name__ for kind in kinds - CHANGES.keys()} == unseen
