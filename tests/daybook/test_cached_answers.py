"""Answers over the row cache: versions, 304 and positions are those of the row as it is now."""

import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

import httpx
import psycopg
import pytest
from litestar import Litestar
from litestar.testing import TestClient
from redis import Redis

from daybook.api import build
from daybook.services import Services
from daybook.settings import Settings
from domain import product
from event_store.connections import connect
from projections import products
from projections.posting.engine import catch_up
from projections.posting.failures import failures, retry, skip
from projections.posting.pages import Pages
from tests.event_store.given import keyring
from tests.projections.given import LANTERN, STORY, TEAPOT, Story, append, post
from tests.projections.test_failures import failing_at

SECRET = "a-secret-of-more-than-thirty-two-bytes"
PATH = f"/api/v1/products/{TEAPOT}"
POISON = len(STORY) + 1  # the next event

RENAMED: Story = [*STORY, (TEAPOT, product.ProductRenamed("Red teapot"))]
ELSEWHERE: Story = [*RENAMED, (LANTERN, product.ProductRenamed("Lantern"))]


class Reading(NamedTuple):
    """A read side whose answers about the teapot come from its cache."""

    url: str
    client: TestClient[Litestar]

    def get(self, **headers: str) -> httpx.Response:
        """Ask for the teapot."""
        return self.client.get(
            PATH, headers={name.replace("_", "-"): v for name, v in headers.items()}
        )

    def append(self, story: Story, *, after: int) -> None:
        """Append the rest of a story."""
        append(self.url, story, after=after)

    def until(self, holds: Callable[[], bool]) -> None:
        """Wait for something to come true."""
        deadline = time.monotonic() + 10
        while not holds():
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def is_cached(self) -> bool:
        """Tell whether an answer needs the table, by locking that."""
        assert self.get().is_success
        with psycopg.connect(self.url) as connection:
            connection.execute("lock table products_v1 in access exclusive mode")
            return self.get().is_success


@pytest.fixture(params=["memory", "redis"])
def reading(request: pytest.FixtureRequest, database_url: str, redis_url: str) -> Iterator[Reading]:
    """Give a read side, after its cache has the row."""
    append(database_url, STORY)
    post(database_url)
    with Redis.from_url(redis_url) as redis:
        redis.flushdb()  # databases of one template have tables of one identity
    settings = Settings(jwt_secret=SECRET, cache=request.param, rate_limit=None)
    services = Services(database_url, redis_url, keyring())
    with TestClient(build("read", settings, services)) as client:
        found = Reading(database_url, client)
        found.until(found.is_cached)
        yield found


def test_a_version_that_is_known_is_unmodified_until_an_event_touches_it(reading: Reading) -> None:
    etag = reading.get().headers["etag"]
    unmodified = reading.get(If_None_Match=etag)
    assert (unmodified.status_code, unmodified.content) == (304, b"")
    reading.append(RENAMED, after=len(STORY))
    post(reading.url)
    told = str(len(RENAMED))
    changed = reading.get(If_None_Match=etag, Daybook_Min_Position=told)
    assert (changed.status_code, changed.json()["data"]["name"]) == (200, "Red teapot")
    assert changed.headers["etag"] != etag
    assert reading.get(If_Match=etag, Daybook_Min_Position=told).status_code == 412
    reading.until(lambda: reading.get(If_None_Match=etag).status_code == 200)


def test_neither_a_row_nor_a_304_is_older_than_its_reader_insists_on(reading: Reading) -> None:
    etag = reading.get().headers["etag"]
    reading.append(RENAMED, after=len(STORY))  # and nobody posts it
    insisting = {"Daybook_Min_Position": str(len(RENAMED)), "Prefer": "wait=0"}
    for more in ({}, {"If_None_Match": etag}):
        behind = reading.get(**insisting, **more)
        assert (behind.status_code, behind.json()["error"]["code"]) == (503, "VIEW_BEHIND")
    post(reading.url)
    assert reading.get(**insisting).json()["data"]["name"] == "Red teapot"


def test_a_row_that_nothing_has_touched_is_true_at_positions_of_other_rows(
    reading: Reading,
) -> None:
    reading.append(RENAMED, after=len(STORY))
    post(reading.url)
    reading.until(reading.is_cached)
    reading.append(ELSEWHERE, after=len(RENAMED))  # and nobody posts it
    etag = reading.get().headers["etag"]
    insisting = {"Daybook_Min_Position": str(len(ELSEWHERE)), "Prefer": "wait=1"}
    reading.until(lambda: reading.get(**insisting).status_code == 200)
    answer = reading.get(**insisting, If_None_Match=etag)
    assert answer.status_code == 304
    assert answer.headers["daybook-position"] == str(len(ELSEWHERE))


@pytest.mark.parametrize(("verb", "name"), [("retry", "Red teapot"), ("skip", "Blue teapot")])
def test_what_was_parked_is_shown_as_soon_as_it_is_applied_or_left_out(
    reading: Reading, verb: str, name: str
) -> None:
    poisoned = failing_at(products.PROJECTION, POISON, error=ValueError("poison"))
    found_more: Story = [*RENAMED, (TEAPOT, product.StockAdjusted(5, "found"))]
    reading.append(found_more, after=len(STORY))
    with connect(reading.url, name="test") as connection:
        catch_up(connection, poisoned, Pages([poisoned]))
        [found] = failures(connection)
        assert (found.position, found.waiting) == (POISON, 2)
        reading.until(reading.is_cached)  # as it was before what is parked
        before = reading.get()
        if verb == "retry":
            retry(connection, products.PROJECTION, str(TEAPOT))
        else:
            skip(connection, products.PROJECTION, str(TEAPOT), POISON)
    etag, stock = before.headers["etag"], before.json()["data"]["stock"]
    reading.until(lambda: reading.get(If_None_Match=etag).status_code == 200)
    shown = reading.get().json()["data"]
    assert (shown["name"], shown["stock"]) == (name, stock + 5)
