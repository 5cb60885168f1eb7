"""Idempotency keys: a repetition gets the first answer, whatever became of things meanwhile."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import httpx
import psycopg
import pytest
from litestar.testing import TestClient

from api.tokens import Tokens
from tests.api import conftest
from tests.api.conftest import PASSWORD, Client, Person, data_of, new_app, refused

NewPerson = Callable[..., Person]


def new_key() -> str:
    return uuid4().hex


def product(admin: Person, stock: int | None = 5) -> str:
    body = {
        "sku": uuid4().hex[:12],
        "name": "Tea",
        "price": {"amount": "2.00", "currency": "GBP"},
        "stock": stock,
    }
    return str(data_of(admin.ask("POST", "/products", body))["id"])


def order(person: Person, product_id: str, key: str, quantity: int = 1) -> httpx.Response:
    body = {"items": [{"productId": product_id, "quantity": quantity}]}
    return person.ask("POST", "/orders", body, Idempotency_Key=key)


def same(first: httpx.Response, again: httpx.Response) -> None:
    assert again.status_code == first.status_code
    assert again.content == first.content
    for name in ("etag", "location", "daybook-position"):
        assert again.headers.get(name) == first.headers.get(name)
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"


def events(database_url: str) -> int:
    with psycopg.connect(database_url) as connection:
        row = connection.execute("select position from log_head").fetchone()
    assert row is not None
    return int(row[0])


def test_a_repeated_order_is_placed_once(
    admin: Person, customer: Person, database_url: str
) -> None:
    tea, key = product(admin), new_key()
    first = order(customer, tea, key)
    assert first.status_code == 201
    placed = events(database_url)
    same(first, order(customer, tea, key))
    assert events(database_url) == placed


def test_a_refusal_for_the_present_state_is_repeated_when_the_state_is_another(
    admin: Person, customer: Person
) -> None:
    tea, key = product(admin, stock=1), new_key()
    first = order(customer, tea, key, quantity=3)
    refused(first, 409, "OUT_OF_STOCK")
    more = {"quantity": 5, "reason": "delivery"}
    assert admin.ask("POST", f"/products/{tea}/stock-adjustments", more).is_success
    same(first, order(customer, tea, key, quantity=3))
    assert order(customer, tea, new_key(), quantity=3).status_code == 201


def test_a_refused_order_leaves_nothing_of_its_first_items_behind(
    admin: Person, customer: Person, database_url: str
) -> None:
    plenty, none_left = product(admin, stock=5), product(admin, stock=0)
    items = [{"productId": one, "quantity": 1} for one in (plenty, none_left)]
    before = events(database_url)
    answer = customer.ask("POST", "/orders", {"items": items}, Idempotency_Key=new_key())
    refused(answer, 409, "OUT_OF_STOCK")
    assert events(database_url) == before


def test_a_repeated_payment_is_the_same_success_and_not_already_paid(
    admin: Person, customer: Person
) -> None:
    placed = data_of(order(customer, product(admin), new_key()))
    path, key = f"/orders/{placed['id']}/payment", new_key()
    body = {"reference": "P-1", "amount": placed["total"]}
    first = admin.ask("POST", path, body, Idempotency_Key=key)
    assert first.status_code == 200
    same(first, admin.ask("POST", path, body, Idempotency_Key=key))
    refused(admin.ask("POST", path, body, Idempotency_Key=new_key()), 409, "INVALID_STATE")


def test_another_body_under_a_key_is_refused_and_changes_nothing(
    admin: Person, customer: Person, database_url: str
) -> None:
    tea, key = product(admin), new_key()
    order(customer, tea, key)
    before = events(database_url)
    refused(order(customer, tea, key, quantity=2), 422, "IDEMPOTENCY_KEY_REUSED")
    assert events(database_url) == before


def test_another_path_under_a_key_is_refused(admin: Person) -> None:
    tea, coffee, key = product(admin), product(admin), new_key()
    body = {"quantity": 1, "reason": "count"}
    adjust = "/products/{}/stock-adjustments"
    assert admin.ask("POST", adjust.format(tea), body, Idempotency_Key=key).is_success
    again = admin.ask("POST", adjust.format(coffee), body, Idempotency_Key=key)
    refused(again, 422, "IDEMPOTENCY_KEY_REUSED")


def test_a_user_who_is_not_there_is_so_again(staff: Person) -> None:
    path, key = f"/users/{uuid4()}/orders", new_key()
    body = {"items": [{"productId": product(staff), "quantity": 1}]}
    first = staff.ask("POST", path, body, Idempotency_Key=key)
    refused(first, 404, "NOT_FOUND")
    same(first, staff.ask("POST", path, body, Idempotency_Key=key))


def test_a_key_is_its_callers_own(admin: Person, customer: Person, staff: Person) -> None:
    tea, key = product(admin), new_key()
    mine, theirs = order(customer, tea, key), order(staff, tea, key)
    assert (mine.status_code, theirs.status_code) == (201, 201)
    assert data_of(mine)["id"] != data_of(theirs)["id"]


def test_fifty_at_once_are_one_order_with_one_answer(
    admin: Person, customer: Person, database_url: str
) -> None:
    tea, key = product(admin, stock=100), new_key()
    before = events(database_url)
    with ThreadPoolExecutor(10) as threads:
        answers = list(threads.map(lambda _: order(customer, tea, key), range(50)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.content for answer in answers}) == 1
    assert events(database_url) == before + 2


def test_the_answer_is_known_to_another_process(
    admin: Person, customer: Person, database_url: str, tokens: Tokens
) -> None:
    tea, key = product(admin), new_key()
    first = order(customer, tea, key)
    with TestClient(new_app(database_url, tokens)) as other:
        elsewhere = Person(other, customer.email, customer.id)
        same(first, order(elsewhere, tea, key))


def test_an_answer_is_known_after_a_rotation_of_the_secrets(
    admin: Person, customer: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    tea, key = product(admin), new_key()
    first = order(customer, tea, key)
    monkeypatch.setattr(conftest, "SECRETS", [b"4" * 32, *conftest.SECRETS])
    same(first, order(customer, tea, key))
    refused(order(customer, tea, key, quantity=2), 422, "IDEMPOTENCY_KEY_REUSED")


def test_a_registration_can_be_repeated_and_its_password_is_not_stored(
    client: Client, database_url: str
) -> None:
    password = f"very secret {uuid4().hex}"
    body = {"email": f"{uuid4().hex}@example.com", "password": password, "name": "Ada"}
    headers = {"Idempotency-Key": new_key()}
    first = client.post("/api/v1/users", json=body, headers=headers)
    assert first.status_code == 201, first.text
    same(first, client.post("/api/v1/users", json=body, headers=headers))
    taken = client.post("/api/v1/users", json=body, headers={"Idempotency-Key": new_key()})
    refused(taken, 409, "EMAIL_TAKEN")
    with psycopg.connect(database_url) as connection:
        rows = connection.execute("select k::text from idempotency_keys k").fetchall()
    assert rows
    assert not any(password in row[0] for row in rows)


def test_answers_with_tokens_are_never_stored(
    client: Client, customer: Person, database_url: str
) -> None:
    key = new_key()
    credentials = {"email": customer.email, "password": PASSWORD}
    headers = {"Idempotency-Key": key}
    for _ in range(2):
        answer = client.post("/api/v1/auth/login", json=credentials, headers=headers)
        assert answer.status_code == 200
        assert "idempotency-replayed" not in answer.headers
    with psycopg.connect(database_url) as connection:
        found = connection.execute("select from idempotency_keys where key = %s", [key]).fetchall()
    assert found == []


def test_an_expired_key_is_free_again(admin: Person, customer: Person, database_url: str) -> None:
    tea, key = product(admin), new_key()
    first = data_of(order(customer, tea, key))
    with psycopg.connect(database_url) as connection:
        connection.execute(
            "update idempotency_keys set expires_at = now() - interval '1 second' where key = %s",
            [key],
        )
    second = order(customer, tea, key)
    assert data_of(second)["id"] != first["id"]
    same(second, order(customer, tea, key))


@pytest.mark.parametrize("key", ["", " ", "a" * 256, "tab\tinside", "ü"])
def test_a_key_that_is_none_is_refused(admin: Person, key: str) -> None:
    headers = [
        (b"authorization", f"Bearer {admin.access_token}".encode()),
        (b"idempotency-key", key.encode()),
    ]
    body = {"quantity": 1, "reason": "count"}
    path = f"/api/v1/products/{product(admin)}/stock-adjustments"
    answer = admin.client.post(path, json=body, headers=httpx.Headers(headers))
    refused(answer, 400, "MALFORMED_REQUEST")
