"""Who may call what: every route of the write side with every role (ASVS 8.2.1)."""

from uuid import uuid4

import pytest
from litestar.handlers import HTTPRouteHandler

from api import write
from tests.api.conftest import Client, Person

EVERYBODY = {"anonymous", "customer", "staff", "auditor", "admin"}
SIGNED_IN = EVERYBODY - {"anonymous"}
BUYERS = {"customer", "staff", "admin"}
STAFF = {"staff", "admin"}

# The contract's table, written down once more: a route that is not here fails the test.
WHO = {
    ("POST", "/api/v1/users"): EVERYBODY,
    ("POST", "/api/v1/auth/login"): EVERYBODY,
    ("POST", "/api/v1/auth/refresh"): EVERYBODY,
    ("POST", "/api/v1/auth/logout"): SIGNED_IN,
    ("PUT", "/api/v1/users/{user_id:str}"): SIGNED_IN,
    ("PATCH", "/api/v1/users/{user_id:str}"): SIGNED_IN,
    ("DELETE", "/api/v1/users/{user_id:str}"): SIGNED_IN,
    ("PUT", "/api/v1/users/{user_id:str}/password"): SIGNED_IN,
    ("PUT", "/api/v1/users/{user_id:str}/role"): {"admin"},
    ("POST", "/api/v1/users/{user_id:str}/orders"): BUYERS,
    ("POST", "/api/v1/products"): STAFF,
    ("PATCH", "/api/v1/products/{product_id:str}"): STAFF,
    ("DELETE", "/api/v1/products/{product_id:str}"): STAFF,
    ("POST", "/api/v1/products/{product_id:str}/stock-adjustments"): STAFF,
    ("POST", "/api/v1/orders"): BUYERS,
    ("POST", "/api/v1/orders/{order_id:str}/payment"): STAFF,
    ("POST", "/api/v1/orders/{order_id:str}/shipment"): STAFF,
    ("POST", "/api/v1/orders/{order_id:str}/delivery"): STAFF,
    ("POST", "/api/v1/orders/{order_id:str}/cancellation"): BUYERS,
    ("POST", "/api/v1/orders/{order_id:str}/refund"): STAFF,
    ("POST", "/api/v1/orders/{order_id:str}/notes"): STAFF,
}


def routes() -> list[tuple[str, str]]:
    return [key(handler) for handler in write.HANDLERS]


def key(handler: HTTPRouteHandler) -> tuple[str, str]:
    (method,) = (str(method) for method in handler.http_methods)
    (path,) = handler.paths
    return method, path


def test_every_route_is_in_the_table() -> None:
    assert set(routes()) == set(WHO)


@pytest.fixture(scope="module")
def people(customer: Person, staff: Person, auditor: Person, admin: Person) -> dict[str, Person]:
    return {"customer": customer, "staff": staff, "auditor": auditor, "admin": admin}


@pytest.mark.parametrize(("method", "path"), WHO)
def test_only_those_listed_get_past_the_door(
    client: Client, people: dict[str, Person], method: str, path: str
) -> None:
    where = path.removeprefix("/api/v1")
    for name in ("user_id", "product_id", "order_id"):
        where = where.replace(f"{{{name}:str}}", str(uuid4()))
    # A body that is never valid: whoever gets past the door is told so, and nothing is done.
    for role, person in people.items():
        status = person.ask(method, where, {"?": 1}).status_code
        expected = {422, 404} if role in WHO[method, path] else {403}
        assert status in expected, (role, status)
    status = client.request(method, f"/api/v1{where}", json={"?": 1}).status_code
    assert status == (422 if "anonymous" in WHO[method, path] else 401)
