"""Who may call what: every route of the write side with every role (ASVS 8.2.1)."""

from uuid import uuid4

import pytest
from litestar.handlers import HTTPRouteHandler

from api.write import handlers as write_side
from tests.api.conftest import Client, Person
from tests.api.permissions import COMMANDS as WHO


def routes() -> list[tuple[str, str]]:
    return [key(handler) for handler in write_side.HANDLERS]


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
    where = where.replace("{reaction:str}", "welcome_mail").replace("{position:int}", "1")
    where = where.replace("{projection:str}", "orders")
    # A body that is never valid: whoever gets past the door is told so, and nothing is done.
    for role, person in people.items():
        status = person.ask(method, where, {"?": 1}).status_code
        expected = {422, 404} if role in WHO[method, path] else {403}
        assert status in expected, (role, status)
    status = client.request(method, f"/api/v1{where}", json={"?": 1}).status_code
    assert status == (422 if "anonymous" in WHO[method, path] else 401)
