"""Every command of the contract's table, asked over HTTP as a client does."""

from uuid import UUID, uuid4

import pytest

from api.tokens import Tokens
from tests.api.conftest import (
    ADMIN_EMAIL,
    KEYS,
    PASSWORD,
    Client,
    Json,
    Person,
    data_of,
    list_product,
    place_order,
    refused,
    register,
    with_role,
)

TOTAL = {"amount": "5.00", "currency": "GBP"}


def test_a_registration_is_answered_with_a_receipt(client: Client) -> None:
    body = {"email": "Grace@Example.com", "password": PASSWORD, "name": "  Grace Hopper "}
    response = client.post("/api/v1/users", json=body)
    data = data_of(response)
    assert response.status_code == 201
    assert UUID(data["id"]).version == 7
    assert data["version"] == 1
    assert response.headers["location"] == f"/api/v1/users/{data['id']}"
    assert response.headers["etag"] == '"1"'
    assert int(response.headers["daybook-position"]) > 0


def test_an_address_is_unique_without_regard_to_case(client: Client) -> None:
    register(client, "once@example.com")
    body = {"email": "ONCE@example.com", "password": PASSWORD, "name": "Twice"}
    refused(client.post("/api/v1/users", json=body), 409, "EMAIL_TAKEN")


def test_a_sign_in_gives_a_pair_of_tokens(client: Client) -> None:
    body = {"email": ADMIN_EMAIL.upper(), "password": PASSWORD}
    response = client.post("/api/v1/auth/login", json=body)
    data = data_of(response)
    assert response.status_code == 200
    assert (data["tokenType"], data["expiresIn"]) == ("Bearer", 3600)
    assert data["accessToken"] != data["refreshToken"]
    assert response.headers["cache-control"] == "no-store"


def test_unknown_address_and_wrong_password_say_the_same(client: Client) -> None:
    known = {"email": ADMIN_EMAIL, "password": "wrong password"}
    unknown = {"email": "nobody@example.com", "password": "wrong password"}
    errors = [
        refused(client.post("/api/v1/auth/login", json=body), 401, "INVALID_CREDENTIALS")
        for body in (known, unknown)
    ]
    assert errors[0] == errors[1]


def test_a_refresh_token_works_once_and_a_second_use_ends_the_session(client: Client) -> None:
    person = register(client)
    first = {"refreshToken": person.refresh_token}
    second = data_of(client.post("/api/v1/auth/refresh", json=first))
    refused(client.post("/api/v1/auth/refresh", json=first), 401, "REFRESH_REUSED")
    again = {"refreshToken": second["refreshToken"]}
    refused(client.post("/api/v1/auth/refresh", json=again), 401, "UNAUTHENTICATED")


def test_an_access_token_does_not_refresh(client: Client, customer: Person) -> None:
    body = {"refreshToken": customer.access_token}
    refused(client.post("/api/v1/auth/refresh", json=body), 401, "UNAUTHENTICATED")


def test_a_sign_out_ends_the_session_at_once(client: Client) -> None:
    person = register(client)
    response = person.ask("POST", "/auth/logout")
    assert response.status_code == 204
    assert response.content == b""
    assert int(response.headers["daybook-position"]) > 0
    refused(person.ask("POST", "/auth/logout"), 401, "UNAUTHENTICATED")
    body = {"refreshToken": person.refresh_token}
    refused(client.post("/api/v1/auth/refresh", json=body), 401, "UNAUTHENTICATED")


def test_an_account_is_replaced_by_put_and_changed_by_patch(client: Client) -> None:
    person = register(client)
    path = f"/users/{person.id}"
    whole = {"email": f"new-{person.email}", "name": "New Name"}
    assert data_of(person.ask("PUT", path, whole))["version"] == 3
    assert data_of(person.ask("PATCH", path, {"name": "Other Name"}))["version"] == 4
    refused(person.ask("PUT", path, {"name": "Only Name"}), 422, "VALIDATION_ERROR")
    person.email = f"new-{person.email}"
    person.sign_in()


def test_an_account_of_somebody_else_does_not_exist(customer: Person, admin: Person) -> None:
    other = register(customer.client)
    path = f"/users/{other.id}"
    refused(customer.ask("PATCH", path, {"name": "Mine now"}), 404, "NOT_FOUND")
    refused(customer.ask("DELETE", path), 404, "NOT_FOUND")
    assert data_of(admin.ask("PATCH", path, {"name": "By admin"}))["version"] == 2


def test_a_new_password_ends_all_other_sessions(client: Client) -> None:
    person = register(client)
    other = Person(client, person.email, person.id)
    body = {"currentPassword": PASSWORD, "newPassword": "another long one"}
    assert data_of(person.ask("PUT", f"/users/{person.id}/password", body))["version"] == 2
    refused(other.ask("PATCH", f"/users/{person.id}", {"name": "Still me"}), 401, "UNAUTHENTICATED")
    data_of(person.ask("PATCH", f"/users/{person.id}", {"name": "Still me"}))
    refused(person.ask("PUT", f"/users/{person.id}/password", body), 401, "INVALID_CREDENTIALS")


def test_the_last_administrator_stays_one(admin: Person, client: Client) -> None:
    data = client.post("/api/v1/auth/login", json={"email": ADMIN_EMAIL, "password": PASSWORD})
    assert data.is_success
    other = with_role(client, admin, "admin")
    assert (
        data_of(other.ask("PUT", f"/users/{other.id}/role", {"role": "customer"}))["version"] == 3
    )
    last = Tokens(KEYS, "first").verify(admin.access_token).user_id
    for method, path, body in (
        ("PUT", f"/users/{last}/role", {"role": "staff"}),
        ("DELETE", f"/users/{last}", None),
        ("DELETE", f"/users/{last}/personal-data", None),
    ):
        refused(admin.ask(method, path, body), 409, "INVALID_STATE")


def test_a_closed_account_is_out_at_once(client: Client) -> None:
    person = register(client)
    assert person.ask("DELETE", f"/users/{person.id}").status_code == 204
    refused(person.ask("POST", "/auth/logout"), 401, "UNAUTHENTICATED")
    body = {"email": person.email, "password": PASSWORD}
    refused(client.post("/api/v1/auth/login", json=body), 401, "INVALID_CREDENTIALS")
    register(client, person.email)


def test_a_product_is_listed_changed_adjusted_and_withdrawn(staff: Person) -> None:
    price = {"amount": "2.5", "currency": "GBP"}
    body = {"sku": "SKU-1", "name": "Heart", "price": price, "stock": 3}
    response = staff.ask("POST", "/products", body)
    path = f"/products/{data_of(response)['id']}"
    assert response.headers["location"] == f"/api/v1{path}"
    refused(staff.ask("POST", "/products", body), 409, "SKU_TAKEN")
    assert data_of(staff.ask("PATCH", path, {"name": "Red heart"}))["version"] == 2
    adjusted = staff.ask("POST", f"{path}/stock-adjustments", {"quantity": 4, "reason": "found"})
    assert data_of(adjusted)["stock"] == 7
    too_many = {"quantity": -8, "reason": "lost"}
    refused(staff.ask("POST", f"{path}/stock-adjustments", too_many), 409, "OUT_OF_STOCK")
    assert staff.ask("DELETE", path).status_code == 204
    refused(staff.ask("DELETE", path), 409, "INVALID_STATE")


def test_stock_null_is_not_tracked_and_must_be_said(staff: Person) -> None:
    list_product(staff, stock=None)
    price = {"amount": "1.00", "currency": "GBP"}
    error = refused(
        staff.ask("POST", "/products", {"sku": "S", "name": "No stock", "price": price}),
        422,
        "VALIDATION_ERROR",
    )
    assert error["details"] == [{"field": "stock", "message": "This field is missing."}]


def test_an_order_is_paid_shipped_and_delivered(staff: Person, customer: Person) -> None:
    items = [{"productId": list_product(staff), "quantity": 2}]
    response = customer.ask("POST", "/orders", {"items": items})
    data = data_of(response)
    assert response.status_code == 201
    assert data["total"] == TOTAL
    assert response.headers["location"] == f"/api/v1/orders/{data['id']}"
    path = f"/orders/{data['id']}"
    shipment = {"carrier": "Royal Mail", "trackingNumber": "RM1"}
    refused(staff.ask("POST", f"{path}/shipment", shipment), 409, "INVALID_STATE")
    paid = staff.ask("POST", f"{path}/payment", {"reference": "P1", "amount": TOTAL})
    assert paid.status_code == 200
    assert paid.headers["etag"] == '"2"'
    assert data_of(staff.ask("POST", f"{path}/shipment", shipment))["version"] == 3
    assert data_of(staff.ask("POST", f"{path}/delivery"))["version"] == 4
    assert data_of(staff.ask("POST", f"{path}/notes", {"text": "Two\nlines"}))["version"] == 5
    assert data_of(staff.ask("POST", f"{path}/refund", {"reason": "broken"}))["version"] == 6


def test_a_payment_must_equal_the_total(staff: Person, customer: Person) -> None:
    path = f"/orders/{place_order(customer, list_product(staff))}/payment"
    other = {"amount": "4.99", "currency": "GBP"}
    body = {"reference": "P1", "amount": other}
    refused(staff.ask("POST", path, body), 422, "VALIDATION_ERROR")


def test_a_cancelled_order_gives_its_stock_back(staff: Person, customer: Person) -> None:
    product_id = list_product(staff, stock=2)
    order_id = place_order(customer, product_id)
    items = [{"productId": product_id, "quantity": 1}]
    refused(customer.ask("POST", "/orders", {"items": items}), 409, "OUT_OF_STOCK")
    cancelled = customer.ask("POST", f"/orders/{order_id}/cancellation", {"reason": "no need"})
    assert data_of(cancelled)["version"] == 2
    place_order(customer, product_id)


def test_staff_order_for_others_and_customers_do_not(staff: Person, customer: Person) -> None:
    items = [{"productId": list_product(staff, stock=None), "quantity": 1}]
    data_of(staff.ask("POST", "/orders", {"items": items, "userId": customer.id}))
    data_of(staff.ask("POST", f"/users/{customer.id}/orders", {"items": items}))
    data_of(customer.ask("POST", f"/users/{customer.id}/orders", {"items": items}))
    foreign = {"items": items, "userId": staff.id}
    refused(customer.ask("POST", "/orders", foreign), 403, "FORBIDDEN")
    refused(customer.ask("POST", f"/users/{staff.id}/orders", {"items": items}), 404, "NOT_FOUND")
    refused(staff.ask("POST", f"/users/{uuid4()}/orders", {"items": items}), 404, "NOT_FOUND")


def test_an_order_of_somebody_else_does_not_exist(staff: Person, client: Client) -> None:
    order_id = place_order(register(client), list_product(staff))
    stranger = register(client)
    why = {"reason": "mine"}
    refused(stranger.ask("POST", f"/orders/{order_id}/cancellation", why), 404, "NOT_FOUND")
    assert data_of(staff.ask("POST", f"/orders/{order_id}/cancellation", why))["version"] == 2


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PATCH", "/products/{}", {"name": "Nothing"}),
        ("DELETE", "/products/{}", None),
        ("POST", "/products/{}/stock-adjustments", {"quantity": 1, "reason": "found"}),
        ("POST", "/orders/{}/payment", {"reference": "P", "amount": TOTAL}),
        ("POST", "/orders/{}/shipment", {"carrier": "C", "trackingNumber": "1"}),
        ("POST", "/orders/{}/delivery", None),
        ("POST", "/orders/{}/cancellation", {"reason": "no"}),
        ("POST", "/orders/{}/refund", {"reason": "no"}),
        ("POST", "/orders/{}/notes", {"text": "no"}),
        ("PATCH", "/users/{}", {"name": "Nobody"}),
        ("PUT", "/users/{}/role", {"role": "staff"}),
        ("DELETE", "/users/{}", None),
    ],
)
def test_what_does_not_exist_cannot_be_changed(
    admin: Person, method: str, path: str, body: object
) -> None:
    refused(admin.ask(method, path.format(uuid4()), body), 404, "NOT_FOUND")
    refused(admin.ask(method, path.format("17850.0"), body), 400, "MALFORMED_REQUEST")


def test_if_match_holds_a_command_to_a_version(staff: Person) -> None:
    path = f"/products/{list_product(staff)}"
    data_of(staff.ask("PATCH", path, {"name": "Second"}, If_Match='"1"'))
    error = refused(
        staff.ask("PATCH", path, {"name": "Third"}, If_Match='"1"'), 412, "PRECONDITION_FAILED"
    )
    assert error["details"][0]["value"] == 2
    data_of(staff.ask("PATCH", path, {"name": "Third"}, If_Match="*"))
    for malformed in ("2", 'W/"2"', '"2", "3"', '"two"', '"02"', '"-1"'):
        answer = staff.ask("PATCH", path, {"name": "Fourth"}, If_Match=malformed)
        refused(answer, 400, "MALFORMED_REQUEST")


@pytest.mark.parametrize("version", ["*", '"1"', '"0"'])
def test_what_is_to_be_created_matches_no_version(staff: Person, version: str) -> None:
    """RFC 9110, 13.1.1: it is not there, so neither a version nor any at all can hold."""
    product = list_product(staff)
    order = {"items": [{"productId": product, "quantity": 1}]}
    bodies: dict[str, Json] = {
        "/users": {"email": f"{product}@example.com", "password": PASSWORD, "name": "Not yet"},
        "/products": {"sku": f"NO-{product}", "name": "Tea", "price": TOTAL, "stock": None},
        "/orders": order,
        f"/users/{staff.id}/orders": order,
    }
    for path, body in bodies.items():
        error = refused(staff.ask("POST", path, body, If_Match=version), 412, "PRECONDITION_FAILED")
        assert "details" not in error
        assert staff.ask("POST", path, body).status_code == 201
