"""Reading one's own writes: what `Daybook-Min-Position` promises on every read."""

import asyncio
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

import httpx
import pytest
from httpx import ASGITransport, AsyncClient

from api.read import demands
from api.read import handlers as read_side
from api.read.live import routes as streams
from api.tokens import Tokens
from daybook.worker import Poster
from projections.posting import post_page as posting
from projections.posting import progress
from projections.switched_on import PROJECTIONS
from tests.api.conftest import Client, Person, list_product, place_order, refused
from tests.api.read.conftest import Post, new_app
from tests.event_store.given import rows

NO_VIEW = re.compile("/audit/|/projections|/reactions")
# Event streams and evidence are read from the log itself; projections and reactions have no view.
PATHS = sorted(
    {path for one in read_side.HANDLERS for path in one.paths if not NO_VIEW.search(path)}
    - {path for one in streams.HANDLERS for path in one.paths}
)
SOMEBODY = "0193c1d0-0000-7000-8000-000000000000"
CUT = """
    select pg_terminate_backend(pid) from pg_stat_activity
     where datname = current_database() and application_name = 'daybook progress'
"""
CALLERS, ROUNDS, HASTY_ROUNDS = 20, 50, 5


class Worker:
    """Posts one view in a thread, as soon as it is told that the log has grown."""

    def __init__(self, database_url: str) -> None:
        self._database_url = database_url
        self._news, self._stop = threading.Event(), threading.Event()

    def tell(self, _position: int) -> None:
        self._news.set()

    @contextmanager
    def working(self) -> Iterator[None]:
        thread = threading.Thread(target=self._work)
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            self._news.set()
            thread.join()

    def _work(self) -> None:
        with closing(Poster(self._database_url)) as poster:
            while not self._stop.is_set():
                self._news.wait()
                self._news.clear()
                poster.post(PROJECTIONS["products"])


async def stale_answers(
    client: AsyncClient, token: str, product: str, name: str, *, insisting: bool
) -> int:
    """Write and read, again and again; return how many reads did not show what was written."""
    path, stale = f"/api/v1/products/{product}", 0
    signed = {"Authorization": f"Bearer {token}"}
    for number in range(ROUNDS if insisting else HASTY_ROUNDS):
        wanted = f"{name} {number}"
        receipt = await client.patch(path, json={"name": wanted}, headers=signed)
        position = receipt.headers["daybook-position"]
        answer = await client.get(path, headers=insist(position) if insisting else {})
        assert answer.status_code == 200, answer.text
        stale += answer.json()["data"]["name"] != wanted
        assert not insisting or int(answer.headers["daybook-position"]) >= int(position)
    return stale


def insist(position: object, wait: int | None = None) -> dict[str, str]:
    """Return the headers of a read that insists on a position."""
    prefer = {} if wait is None else {"Prefer": f"wait={wait}"}
    return {"Daybook-Min-Position": str(position), **prefer}


def test_of_a_thousand_reads_after_writes_none_is_stale(
    database_url: str, tokens: Tokens, staff: Person, post: Post
) -> None:
    """Those that do not insist are, else this would prove nothing."""
    products = [list_product(staff) for _ in range(CALLERS)]
    post()
    worker = Worker(database_url)

    async def all_stale(*, insisting: bool) -> int:
        name = "sure" if insisting else "hasty"
        app = new_app(database_url, tokens, worker.tell)
        transport = ASGITransport(app)
        async with app.lifespan(), AsyncClient(transport=transport, base_url="http://t") as client:
            token = staff.access_token
            asked = (
                stale_answers(client, token, product, name, insisting=insisting)
                for product in products
            )
            return sum(await asyncio.gather(*asked))

    with worker.working():
        assert asyncio.run(all_stale(insisting=True)) == 0
        assert asyncio.run(all_stale(insisting=False)) > 0


@pytest.mark.parametrize("path", PATHS)
def test_every_read_insists(admin: Person, path: str) -> None:
    where = path
    for name in ("user_id", "product_id", "order_id"):
        where = where.replace(f"{{{name}:str}}", SOMEBODY)
    where += "?groupBy=day" if "reports" in path else ""
    signed = {"Authorization": f"Bearer {admin.access_token}"}

    def asked(position: str) -> httpx.Response:
        return admin.client.get(where, headers=signed | insist(position, 0))

    error = refused(asked("9" * 18), 503, "VIEW_BEHIND")
    assert "999999999999999999" in error["message"]
    refused(asked("soon"), 400, "MALFORMED_REQUEST")
    assert asked("0").status_code in {200, 404}


@pytest.mark.parametrize("given", ["", "-1", "01", "1.0", "1e3", "9" * 19, "9" * 4_000, "1, 2"])
def test_a_position_that_is_none_is_refused(client: Client, given: str) -> None:
    answer = client.get("/api/v1/products", headers={"Daybook-Min-Position": given})
    refused(answer, 400, "MALFORMED_REQUEST")


def test_a_read_waits_as_long_as_it_is_told_and_says_when_to_come_again(client: Client) -> None:
    began = time.monotonic()
    answer = client.get("/api/v1/products", headers=insist(10**9, wait=1))
    assert 0.95 <= time.monotonic() - began < 3
    refused(answer, 503, "VIEW_BEHIND")
    assert answer.headers["retry-after"] == "1"


@pytest.mark.parametrize(
    ("prefer", "seconds"),
    [
        (b"", 2),
        (b"wait=5", 5),
        (b"respond-async, wait=0", 0),
        (b'WAIT = "7" ; strict', 7),
        (b"wait=86400", 10),
        (b"wait=soon", 2),
        (b"await=9", 2),
        (b"wait=-1", 2),
    ],
)
def test_a_preference_that_is_none_changes_nothing(prefer: bytes, seconds: int) -> None:
    assert demands.patience({b"prefer": prefer}) == seconds
    assert demands.patience({}) == 2


def test_a_read_that_waits_is_woken_by_the_view(client: Client, staff: Person, post: Post) -> None:
    """Long before its patience ends, and before the look that finds what was not told."""
    product = list_product(staff)
    delays = []
    posted: list[float] = []

    def post_and_note() -> None:
        post()
        posted.append(time.monotonic())

    for number in range(5):
        receipt = staff.ask("PATCH", f"/products/{product}", {"name": f"Name {number}"})
        position = receipt.headers["daybook-position"]
        with running(threading.Thread(target=later(post_and_note))):
            path = f"/api/v1/products/{product}"
            answer = client.get(path, headers=insist(position, wait=10))
            answered = time.monotonic()
        assert answer.json()["data"]["name"] == f"Name {number}"
        delays.append(answered - posted[-1])
    assert sorted(delays)[2] < 0.2


def test_what_is_not_there_is_said_only_of_a_view_that_has_come_so_far(
    database_url: str, staff: Person, customer: Person, post: Post
) -> None:
    order = place_order(customer, list_product(staff))
    [(head,)] = rows(database_url, "select position from log_head")
    refused(customer.ask("GET", f"/orders/{order}"), 404, "NOT_FOUND")
    with running(threading.Thread(target=post)):
        answer = customer.ask("GET", f"/orders/{order}", **{"Daybook-Min-Position": str(head)})
    assert answer.status_code == 200


@pytest.mark.parametrize("hearing", [True, False])
def test_news_that_nobody_told_are_found(  # noqa: PLR0913, PLR0917 - fixtures
    client: Client,
    database_url: str,
    staff: Person,
    post: Post,
    monkeypatch: pytest.MonkeyPatch,
    hearing: bool,  # noqa: FBT001 - a case
) -> None:
    """Whoever posts may die between the commit and the telling; on a replica nothing is heard."""
    if not hearing:
        monkeypatch.setattr(progress, "LISTEN", "do $$ begin raise sqlstate '25006'; end $$")
        rows(database_url, CUT)
    list_product(staff)
    [(head,)] = rows(database_url, "select position from log_head")
    monkeypatch.setattr(posting, "tell", lambda *_: None)
    with running(threading.Thread(target=later(post))):
        answer = client.get("/api/v1/products", headers=insist(head, wait=10))
    assert int(answer.headers["daybook-position"]) >= head


def test_a_reader_whose_line_is_cut_waits_on(
    client: Client, database_url: str, staff: Person, post: Post
) -> None:
    list_product(staff)
    [(head,)] = rows(database_url, "select position from log_head")

    def cut_then_post() -> None:
        assert rows(database_url, CUT) == [(True,)]
        post()

    with running(threading.Thread(target=later(cut_then_post))):
        answer = client.get("/api/v1/products", headers=insist(head, wait=10))
    assert int(answer.headers["daybook-position"]) >= head


def later(act: Callable[[], None]) -> Callable[[], None]:
    """Return what does something when a reader waits for it."""

    def wait_and_act() -> None:
        time.sleep(0.2)
        act()

    return wait_and_act


@contextmanager
def running(thread: threading.Thread) -> Iterator[None]:
    """Run a thread beside the block."""
    thread.start()
    try:
        yield
    finally:
        thread.join()
