"""The OpenAPI document says of the read side what it does."""

from typing import Any

import pytest

from api import read
from tests.api.conftest import Client

STREAMS = {"/api/v1/feed", "/api/v1/orders/{order_id}/events"}
PATHS = sorted(
    {path.replace(":str", "").replace(":int", "") for one in read.HANDLERS for path in one.paths}
    - STREAMS
)


@pytest.fixture(scope="module")
def document(client: Client) -> dict[str, Any]:
    found: dict[str, Any] = client.get("/openapi.json").json()
    return found


def schema_of(document: dict[str, Any], path: str) -> dict[str, Any]:
    """Return the schema of the `data` of a success."""
    answer = document["paths"][path]["get"]["responses"]["200"]
    name = answer["content"]["application/json"]["schema"]["$ref"].split("/")[-1]
    found: dict[str, Any] = document["components"]["schemas"][name]["properties"]
    return found


@pytest.mark.parametrize("path", PATHS)
def test_every_parameter_and_answer_is_described(document: dict[str, Any], path: str) -> None:
    operation = document["paths"][path]["get"]
    for parameter in operation.get("parameters", ()):
        assert parameter["description"]
        assert parameter["schema"]
    assert {"200", "400", "401", "500", "503"} <= set(operation["responses"])
    headers = operation["responses"]["200"]["headers"]
    if "/audit/" in path or "/reactions" in path:
        return  # no view of the log
    assert headers["Daybook-Position"]["schema"]["type"] == "integer"
    is_list = "pagination" in schema_of(document, path)
    assert is_list == ("ETag" not in headers) == ("304" not in operation["responses"])
    assert is_list == ("page" in {one["name"] for one in operation["parameters"]})


@pytest.mark.parametrize("path", sorted(STREAMS))
def test_what_a_stream_sends_is_described(document: dict[str, Any], path: str) -> None:
    operation = document["paths"][path]["get"]
    assert {one["name"] for one in operation["parameters"]} >= {"after", "Last-Event-ID"}
    told = operation["responses"]["200"]["content"]["text/event-stream"]["schema"]
    shapes = [
        document["components"]["schemas"][one["$ref"].split("/")[-1]]
        for one in told.get("oneOf", [told])
    ]
    assert len(shapes) == (3 if path.endswith("feed") else 1)
    for shape in shapes:
        assert set(shape["required"]) >= {
            "event",
            "id",
            "version",
            "position",
            "occurredAt",
            "data",
        }


def test_operations_have_names_of_their_own(document: dict[str, Any]) -> None:
    ids = [one["operationId"] for path in document["paths"].values() for one in path.values()]
    assert len(ids) == len(set(ids))


def test_limits_and_choices_are_said(document: dict[str, Any]) -> None:
    operation = document["paths"]["/api/v1/products"]["get"]
    schemas = {one["name"]: one["schema"] for one in operation["parameters"]}
    assert (schemas["limit"]["minimum"], schemas["limit"]["maximum"]) == (1, 100)
    assert schemas["limit"]["default"] == 20
    assert "price" in schemas["sortBy"]["enum"]
    assert schemas["fields"]["items"]["enum"][0] == "id"
    assert schemas["minPrice"]["type"] == "string"
    report = document["paths"]["/api/v1/reports/sales"]["get"]["parameters"]
    assert {one["name"]: one["required"] for one in report}["groupBy"] is True


def test_money_is_a_string(document: dict[str, Any]) -> None:
    money = document["components"]["schemas"]["MoneyView"]["properties"]
    assert money["amount"]["type"] == "string"


def test_fields_may_be_missing_as_the_client_wishes(document: dict[str, Any]) -> None:
    assert not document["components"]["schemas"]["ProductView"].get("required")
    assert "unitPrice" in document["components"]["schemas"]["ItemView"]["required"]
