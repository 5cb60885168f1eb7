"""One resource: its version as an ETag, what If-None-Match spares, times and money as promised."""

import asyncio
import re
import time
from uuid import uuid4

import pytest
from litestar.testing import TestClient

from api.tokens import Tokens
from event_store.records import StoreUnavailable
from projections.orders import ORDERS
from projections.orders import PROJECTION as ORDERS_PROJECTION
from projections.reading.views import Views
from tests.api.conftest import Client, Person, data_of, list_product, place_order, refused
from tests.api.read.conftest import Post, new_app


@pytest.fixture(scope="module")
def product(staff: Person, post: Post) -> str:
    found = list_product(staff)
    post()
    return found


def test_a_resource_has_its_version_as_etag(client: Client, staff: Person, post: Post) -> None:
    product = list_product(staff)
    change = staff.ask("PATCH", f"/products/{product}", {"name": "Another"})
    post()
    answer = client.get(f"/api/v1/products/{product}")
    assert answer.headers["etag"] == change.headers["etag"] == '"2"'
    assert answer.json()["data"]["version"] == 2
    assert int(answer.headers["daybook-position"]) >= int(change.headers["daybook-position"])


@pytest.mark.parametrize("known", ['"1"', 'W/"1"', '"9", "1"', '"9",W/"1"', "*", ', "1" ,'])
def test_a_client_that_has_this_version_gets_no_body(
    client: Client, product: str, known: str
) -> None:
    answer = client.get(f"/api/v1/products/{product}", headers={"If-None-Match": known})
    assert (answer.status_code, answer.content) == (304, b"")
    assert answer.headers["etag"] == '"1"'
    assert "daybook-position" in answer.headers
    assert "content-length" not in answer.headers
    assert "content-type" not in answer.headers


@pytest.mark.parametrize("known", ['"2"', 'W/"11"', '"x"', '""'])
def test_a_client_that_has_another_version_gets_this_one(
    client: Client, product: str, known: str
) -> None:
    answer = client.get(f"/api/v1/products/{product}", headers={"If-None-Match": known})
    assert data_of(answer)["id"] == product


@pytest.mark.parametrize("known", ["1", '"1', "'1'", '"1" "2"', "W/1", ",", ", " * 5_000 + "x"])
def test_an_if_none_match_that_is_none_is_refused(client: Client, product: str, known: str) -> None:
    answer = client.get(f"/api/v1/products/{product}", headers={"If-None-Match": known})
    refused(answer, 400, "MALFORMED_REQUEST")


@pytest.mark.parametrize("wanted", ['"1"', '"7", "1"', 'W/"7","1"', "*"])
def test_a_client_that_wants_this_version_gets_it(
    client: Client, product: str, wanted: str
) -> None:
    answer = client.get(f"/api/v1/products/{product}", headers={"If-Match": wanted})
    assert data_of(answer)["id"] == product


@pytest.mark.parametrize("wanted", ['"2"', 'W/"1"', 'W/"1","2"'])
def test_a_client_that_wants_another_version_gets_none(
    client: Client, product: str, wanted: str
) -> None:
    headers = {"If-Match": wanted, "If-None-Match": '"1"'}
    answer = client.get(f"/api/v1/products/{product}", headers=headers)
    refused(answer, 412, "PRECONDITION_FAILED")


def test_what_is_not_there_is_not_unmodified(client: Client) -> None:
    answer = client.get(f"/api/v1/products/{uuid4()}", headers={"If-None-Match": "*"})
    refused(answer, 404, "NOT_FOUND")


def test_an_etag_opens_nothing(
    customer: Person, stranger: Person, staff: Person, post: Post
) -> None:
    order = place_order(customer, list_product(staff))
    post()
    answer = stranger.ask("GET", f"/orders/{order}", If_None_Match="*")
    refused(answer, 404, "NOT_FOUND")


def test_authenticated_answers_are_not_stored(customer: Person, client: Client, post: Post) -> None:
    post()
    answer = customer.ask("GET", "/users/me")
    assert answer.headers["cache-control"] == "no-store"
    again = customer.ask("GET", "/users/me", If_None_Match=answer.headers["etag"])
    assert (again.status_code, again.headers["cache-control"]) == (304, "no-store")
    assert client.get("/api/v1/products").headers["cache-control"] == "no-cache"


@pytest.mark.parametrize(
    "path",
    [
        "/users/nobody",
        "/users/nobody/orders",
        "/users/nobody/personal-data",
        "/orders/1",
        "/orders/17850.0/events",
        "/orders/{01900000-0000-7000-8000-00000000a11c}",
        "/orders/'%20or%201=1%20--",
        "/orders/%0d%0aX:%20y",
        "/orders/%ff",
        "/products/x%00",
        f"/products/{'x' * 3_000}",
        "/audit/streams/order",
    ],
)
def test_an_id_that_is_none_is_refused(admin: Person, path: str) -> None:
    refused(admin.ask("GET", path), 400, "MALFORMED_REQUEST")


def test_times_end_in_z_and_money_is_plain(customer: Person, staff: Person, post: Post) -> None:
    order = place_order(customer, list_product(staff, None, "1000.1250"), quantity=1000)
    total = {"amount": "1000125.00", "currency": "GBP"}
    paid = staff.ask("POST", f"/orders/{order}/payment", {"reference": "R", "amount": total})
    assert paid.is_success
    shipment = {"carrier": "Royal Mail", "trackingNumber": "RM1"}
    assert staff.ask("POST", f"/orders/{order}/shipment", shipment).is_success
    post()
    row = data_of(customer.ask("GET", f"/orders/{order}"))
    assert row["total"] == total
    assert row["items"][0]["unitPrice"]["amount"] == "1000.125"
    assert row["items"][0]["amount"]["amount"] == "1000125.00"
    for when in (row["placedAt"], row["payment"]["at"], row["shipment"]["at"], row["updatedAt"]):
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", when)
    assert row["shipment"]["trackingNumber"] == "RM1"
    assert row["deliveredAt"] is None


def test_fields_work_on_one_resource(customer: Person, post: Post) -> None:
    post()
    assert data_of(customer.ask("GET", "/users/me?fields=id")) == {"id": customer.id}
    error = refused(customer.ask("GET", "/users/me?fields=orders"), 400, "MALFORMED_REQUEST")
    assert error["details"][0]["field"] == "fields"
    refused(customer.ask("GET", "/users/me?page=1"), 400, "MALFORMED_REQUEST")


def test_views_are_unavailable_in_time_while_postgres_is_away() -> None:
    async def ask() -> None:
        async with Views("postgresql://postgres@127.0.0.1:1/none") as views:
            await views.one(ORDERS_PROJECTION, ORDERS, (uuid4(),))

    started = time.monotonic()
    with pytest.raises(StoreUnavailable):
        asyncio.run(ask())
    assert time.monotonic() - started < 5


def test_a_store_that_is_away_is_unavailable_over_http(tokens: Tokens) -> None:
    app = new_app("postgresql://postgres@127.0.0.1:1/none", tokens)
    with TestClient(app) as running:
        answer = running.get("/api/v1/products")
    refused(answer, 503, "UNAVAILABLE")
    assert int(answer.headers["retry-after"]) > 0
