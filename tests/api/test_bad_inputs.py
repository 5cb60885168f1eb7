"""Requests that cannot be meant: each has a stated answer in the envelope, and changes nothing."""

from typing import Any
from uuid import uuid4

import httpx
import pytest
from litestar.testing import TestClient

from api.admission import check_query
from api.errors import MalformedRequest
from api.request_context import doubtful
from tests.api.conftest import (
    PASSWORD,
    Client,
    Json,
    Person,
    data_of,
    list_product,
    new_app,
    place_order,
    refused,
    register,
)

JSON = {"Content-Type": "application/json"}
GOOD = b'{"email": "a@example.com", "password": "correct horse", "name": "Ada"}'


def post(client: Client, body: bytes, **headers: str) -> httpx.Response:
    return client.post("/api/v1/users", content=body, headers={**JSON, **headers})


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"null",
        b"5",
        b'"text"',
        b"{",
        b'{"email": "a@example.com"',
        b'{"email": NaN}',
        b"[" * 100_000,
        b'{"email": ' + b"[" * 100_000,
        b'{"name": ' + b"[" * 32 + b"]" * 32 + b"}",
        b'{"name": 5, "email": ]',
        b'{"name": "\xff"}',
        b'{"\xff": 1}',
        b'{"name": "\\ud800"}',
        b'{"name": "\xed\xa0\x80"}',
        b"\xef\xbb\xbf" + GOOD,
        GOOD.decode().encode("utf-16"),
        GOOD + b" x",
    ],
)
def test_what_is_no_json_object_is_malformed(client: Client, body: bytes) -> None:
    refused(post(client, body), 400, "MALFORMED_REQUEST")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"{}", "email"),
        (b'{"email": 5, "password": "correct horse", "name": "Ada"}', "email"),
        (GOOD[:-1] + b', "role": "admin"}', "role"),
        (GOOD[:-1] + b', "deep": ' + b"[" * 31 + b"]" * 31 + b"}", "deep"),
        (GOOD.replace(b"Ada", b"A\\u0000da"), "name"),
        (GOOD.replace(b"Ada", b" A "), "name"),
        (GOOD.replace(b"correct horse", b"short"), "password"),
        (GOOD.replace(b"correct horse", b"x" * 129), "password"),
        (GOOD.replace(b"correct horse", b"x" * 1_024), "password"),
        (GOOD.replace(b"correct horse", b"x" * 1_000_000), "password"),
        (GOOD.replace(b"correct horse", b"password1"), "password"),
        (GOOD.replace(b"a@example.com", b"a@" + b"e" * 300 + b".com"), "email"),
        (GOOD.replace(b"a@example.com", b"a" * 1_000_000 + b"@example.com"), "email"),
        (GOOD.replace(b"a@example.com", b"a@example.com\\r\\nBcc: b@example.com"), "email"),
        (GOOD.replace(b"a@example.com", b"\\u0000@example.com"), "email"),
    ],
)
def test_an_invalid_field_is_named(client: Client, body: bytes, field: str) -> None:
    error = refused(post(client, body), 422, "VALIDATION_ERROR")
    assert [detail["field"] for detail in error["details"]] == [field]


def test_of_equal_names_the_last_one_counts(client: Client) -> None:
    address = f"{uuid4().hex}@example.com"
    body = {"email": address, "password": PASSWORD}
    text = GOOD.replace(b"a@example.com", address.encode())[:-1] + b', "password": "%b"}'
    data_of(post(client, text % PASSWORD.encode()))
    data_of(client.post("/api/v1/auth/login", json=body))


@pytest.mark.parametrize(
    "content_type",
    ["", "text/plain", "application/xml", "application/json; charset=latin-1", "application/jsonx"],
)
def test_a_body_that_is_not_declared_as_json_is_refused(client: Client, content_type: str) -> None:
    answer = post(client, GOOD, **{"Content-Type": content_type})
    refused(answer, 415, "UNSUPPORTED_MEDIA_TYPE")


@pytest.mark.parametrize(
    "content_type", ["application/json; charset=UTF-8", "application/vnd.api+json"]
)
def test_every_kind_of_json_is_taken(client: Client, content_type: str) -> None:
    body = GOOD.replace(b"a@example.com", f"{uuid4().hex}@example.com".encode())
    data_of(post(client, body, **{"Content-Type": content_type}))


def test_a_compressed_body_is_refused(client: Client) -> None:
    answer = post(client, GOOD, **{"Content-Encoding": "gzip"})
    refused(answer, 415, "UNSUPPORTED_MEDIA_TYPE")


def test_a_body_over_a_mebibyte_is_too_large_announced_or_not(client: Client) -> None:
    large = b'{"email": "' + b"x" * (1 << 20) + b'"}'
    refused(post(client, large), 413, "PAYLOAD_TOO_LARGE")
    just = large[:20] + large[20 + len(large) - (1 << 20) :]
    assert len(just) == 1 << 20
    refused(post(client, just), 422, "VALIDATION_ERROR")
    chunks = (large[at : at + 65_536] for at in range(0, len(large), 65_536))
    answer = client.post("/api/v1/users", content=chunks, headers=JSON)
    refused(answer, 413, "PAYLOAD_TOO_LARGE")


def test_a_body_that_is_announced_to_be_too_large_is_not_waited_for(client: Client) -> None:
    """What has come of it so far would be taken, if it were all."""
    answer = post(client, GOOD, **{"Content-Length": str((1 << 20) + 1)})
    refused(answer, 413, "PAYLOAD_TOO_LARGE")


@pytest.mark.parametrize(
    "price",
    [
        {"amount": 2.5, "currency": "GBP"},
        {"amount": 2, "currency": "GBP"},
        {"amount": "1e3", "currency": "GBP"},
        {"amount": "NaN", "currency": "GBP"},
        {"amount": "Infinity", "currency": "GBP"},
        {"amount": "-1.00", "currency": "GBP"},
        {"amount": "0", "currency": "GBP"},
        {"amount": "1.00001", "currency": "GBP"},
        {"amount": "1" * 21, "currency": "GBP"},
        {"amount": "\u0661", "currency": "GBP"},
        {"amount": "1.00\n", "currency": "GBP"},
        {"amount": "1.00", "currency": "gbp"},
        {"amount": "1.00", "currency": "GBP\n"},
        {"amount": "1.00"},
        "1.00",
        None,
    ],
)
def test_a_price_is_an_exact_decimal_with_a_currency(staff: Person, price: object) -> None:
    body = {"sku": uuid4().hex, "name": "A thing", "price": price, "stock": None}
    error = refused(staff.ask("POST", "/products", body), 422, "VALIDATION_ERROR")
    assert error["details"][0]["field"].startswith("price")


@pytest.mark.parametrize("quantity", ["9" * 30, "9" * 4_000, "1e400", "1.5", '"2"', "true", "-0"])
def test_a_quantity_is_a_small_whole_number(staff: Person, quantity: str) -> None:
    product_id = list_product(staff)
    body = f'{{"items": [{{"productId": "{product_id}", "quantity": {quantity}}}]}}'
    headers = {**JSON, "Authorization": f"Bearer {staff.access_token}"}
    answer = staff.client.post("/api/v1/orders", content=body, headers=headers)
    error = refused(answer, 422, "VALIDATION_ERROR")
    assert error["details"][0]["field"] == "items[0].quantity"
    assert len(answer.content) < 1_000


PRICE = {"amount": "2.50", "currency": "GBP"}
TEXTS: list[tuple[str, str, str, Json]] = [
    ("PATCH", "/users/{user}", "name", {}),
    ("PATCH", "/users/{user}", "email", {}),
    ("PUT", "/users/{user}", "name", {"email": "ada@example.com"}),
    ("POST", "/products", "sku", {"name": "Tea", "price": PRICE, "stock": None}),
    ("POST", "/products", "name", {"sku": "NUL", "price": PRICE, "stock": None}),
    ("PATCH", "/products/{product}", "name", {}),
    ("POST", "/products/{product}/stock-adjustments", "reason", {"quantity": 1}),
    ("POST", "/orders/{order}/payment", "reference", {"amount": {**PRICE, "amount": "5.00"}}),
    ("POST", "/orders/{order}/shipment", "carrier", {"trackingNumber": "RM1"}),
    ("POST", "/orders/{order}/shipment", "trackingNumber", {"carrier": "Royal Mail"}),
    ("POST", "/orders/{order}/cancellation", "reason", {}),
    ("POST", "/orders/{order}/refund", "reason", {}),
    ("POST", "/orders/{order}/notes", "text", {}),
    ("POST", "/projections/orders/pause", "reason", {}),
]


@pytest.mark.parametrize(
    ("method", "path", "field", "body"), TEXTS, ids=[f"{one[1]} {one[2]}" for one in TEXTS]
)
def test_no_text_takes_control_characters(  # noqa: PLR0913, PLR0917 - what is written where, and by whom
    admin: Person, customer: Person, method: str, path: str, field: str, body: Json
) -> None:
    product = list_product(admin)
    order = place_order(customer, product)
    amount = {"amount": "5.00", "currency": "GBP"}
    if path.endswith(("shipment", "refund")):
        paid = {"reference": "P1", "amount": amount}
        data_of(admin.ask("POST", f"/orders/{order}/payment", paid))
    where = path.format(user=customer.id, product=product, order=order)
    for mark in ("\x00", "\x01", "\x1b", "\x7f", "\x85"):
        answer = admin.ask(method, where, {**body, field: f"a{mark}b@example.com"})
        error = refused(answer, 422, "VALIDATION_ERROR")
        assert [detail["field"] for detail in error["details"]] == [field]


def test_a_nul_in_a_sign_in_does_not_reach_the_database(client: Client) -> None:
    body = {"email": "a\x00@example.com", "password": PASSWORD}
    refused(client.post("/api/v1/auth/login", json=body), 422, "VALIDATION_ERROR")


@pytest.mark.parametrize("token", ["", "x", ".", "0" * 32, f"{'0' * 32}.x", "\x00", "x" * 2_000])
def test_a_refresh_token_that_never_was_is_refused(client: Client, token: str) -> None:
    answer = client.post("/api/v1/auth/refresh", json={"refreshToken": token})
    assert answer.status_code in {401, 422}


def test_unknown_query_parameters_are_refused(client: Client) -> None:
    error = refused(client.get("/health/live?page=1"), 400, "MALFORMED_REQUEST")
    assert error["details"][0]["field"] == "page"


@pytest.mark.parametrize(
    "query", [b"page=1&page=2", b"page=1&Page=2", b"=1", b"limit", b"&".join([b"page=1"] * 101)]
)
def test_query_parameters_are_known_and_given_once(query: bytes) -> None:
    check_query(b"page=1&fields=", frozenset({"page", "fields"}))
    with pytest.raises(MalformedRequest):
        check_query(query, frozenset({"page"}))


def test_a_command_without_a_body_takes_none(staff: Person) -> None:
    path = f"/orders/{uuid4()}/delivery"
    refused(staff.ask("POST", path, {}), 404, "NOT_FOUND")
    refused(staff.ask("POST", path, {"at": "noon"}), 422, "VALIDATION_ERROR")


def test_many_header_lines_and_a_long_path_do_no_harm(client: Client) -> None:
    many = {f"X-Header-{number}": "x" for number in range(200)}
    assert client.get("/health/live", headers=many).is_success
    refused(client.get("/" + "x" * 5_000), 404, "NOT_FOUND")
    refused(client.get("/api/v1/orders/%00/%ff"), 404, "NOT_FOUND")


def doubts(*lines: tuple[bytes, bytes], version: str = "1.1") -> str | None:
    scope: Any = {"headers": [*lines], "http_version": version}
    return doubtful(scope, dict(lines))


@pytest.mark.parametrize(
    "name",
    [
        b"authorization",
        b"content-type",
        b"host",
        b"if-match",
        b"content-length",
        b"idempotency-key",
        b"daybook-min-position",
        b"last-event-id",
    ],
)
def test_a_header_that_decides_is_given_once(name: bytes) -> None:
    lines = [(b"host", b"a"), (name, b"1"), (name, b"2"), (b"x-other", b"a"), (b"x-other", b"b")]
    assert doubts(*lines) == f"The header {name.decode()} is given twice."
    assert doubts(*lines[:1], *lines[3:]) is None


def test_who_is_asked_must_be_said() -> None:
    assert doubts((b"accept", b"*/*")) == "A Host header is needed."
    assert doubts((b"accept", b"*/*"), version="1.0") is None


def test_a_request_with_doubtful_headers_is_refused(database_url: str) -> None:
    app = new_app(database_url)
    inside = app.asgi_handler

    async def without_host(scope: Any, receive: Any, send: Any) -> None:
        scope["headers"] = [line for line in scope.get("headers", ()) if line[0] != b"host"]
        await inside(scope, receive, send)

    app.asgi_handler = without_host
    with TestClient(app) as client:
        refused(client.get("/health/live"), 400, "MALFORMED_REQUEST")


@pytest.mark.parametrize("host", ["evil.example", "localhost:1", "a" * 300, "[::1]"])
def test_what_host_is_said_changes_no_answer(client: Client, host: str) -> None:
    headers = {"Host": host, "X-Forwarded-Host": host, "Forwarded": f"host={host}"}
    body = GOOD.replace(b"a@example.com", f"{uuid4().hex}@example.com".encode())
    answer = post(client, body, **headers)
    data_of(answer)
    assert answer.headers["location"].startswith("/api/v1/users/")
    assert host not in answer.text


@pytest.mark.parametrize(
    ("size", "status"), [(1, 422), (7, 422), (8, 201), (64, 201), (128, 201), (129, 422)]
)
def test_a_password_may_have_any_characters(client: Client, size: int, status: int) -> None:
    password = "\U0001f511\u00e9 \u0000\n\t\u202e"[: size % 8] + "\u03b1" * (size - size % 8)
    body = {"email": f"{uuid4().hex}@example.com", "password": password, "name": "Ada"}
    assert client.post("/api/v1/users", json=body).status_code == status


@pytest.mark.parametrize(
    "password", ["", "seven77", "x" * 129, "password1", "PASSWORD1", "{email}"]
)
def test_a_new_password_is_held_to_the_same(customer: Person, password: str) -> None:
    wanted = password.format(email=customer.email)
    body = {"currentPassword": PASSWORD, "newPassword": wanted}
    answer = customer.ask("PUT", f"/users/{customer.id}/password", body)
    error = refused(answer, 422, "VALIDATION_ERROR")
    assert [detail["field"] for detail in error["details"]] == ["newPassword"]
    assert "value" not in error["details"][0]


def test_a_password_of_a_megabyte_is_no_reason_to_hash_it(client: Client) -> None:
    body = {"email": "a@example.com", "password": "x" * 1_000_000}
    refused(client.post("/api/v1/auth/login", json=body), 422, "VALIDATION_ERROR")


@pytest.mark.parametrize(
    ("email", "status"),
    [
        ("ada+tag@example.com", 201),
        ("\u0430da@example.com", 201),  # Cyrillic: another address, and no trick on anybody
        ("ada@b\u00fccher.example", 201),
        ("ada@localhost", 422),
        ("ada@-.com", 422),
        ("ada@example..com", 422),
        ('"ada lovelace"@example.com', 422),
        ("<ada@example.com>", 422),
        ("ada@example.com,eve@example.com", 422),
        ("ada@[127.0.0.1]", 422),
        ("x" * 65 + "@example.com", 422),
        ("ada%0d%0aBcc: eve@example.com", 422),
    ],
)
def test_an_address_is_one_mailbox(client: Client, email: str, status: int) -> None:
    unique = email.replace("@", f"{uuid4().hex[:8]}@") if status == 201 else email
    body = {"email": unique, "password": PASSWORD, "name": "Ada"}
    assert client.post("/api/v1/users", json=body).status_code == status


@pytest.mark.parametrize("name", ["role", "status", "ownerId", "userId", "id", "version"])
def test_fields_that_one_may_not_decide_are_refused(client: Client, name: str) -> None:
    body = {"email": "a@example.com", "password": PASSWORD, "name": "Ada", name: "admin"}
    error = refused(client.post("/api/v1/users", json=body), 422, "VALIDATION_ERROR")
    assert error["details"][0]["field"] == name


def test_an_order_s_price_and_owner_are_not_the_customer_s_to_say(
    client: Client, staff: Person
) -> None:
    person, other = register(client), register(client)
    product = list_product(staff)
    line = {"productId": product, "quantity": 1}
    price = {"amount": "0.01", "currency": "GBP"}
    refused(
        person.ask("POST", "/orders", {"items": [{**line, "price": price}]}),
        422,
        "VALIDATION_ERROR",
    )
    refused(person.ask("POST", "/orders", {"items": [line], "userId": other.id}), 403, "FORBIDDEN")
