"""The OpenAPI documents say of the read side what it does, and give an example of everything."""

from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest

from api.errors import STATUSES
from api.examples import SENTENCES
from api.graphql.routes import MEDIA_TYPE as GRAPHQL_ANSWER
from api.read.handlers import HANDLERS as READ
from api.versions import referred
from event_store.history.formats import MEDIA_TYPES
from tests.api.conftest import Client

STREAMS = {"/api/v1/feed", "/api/v1/orders/{order_id}/events"}
PATHS = sorted(
    {path.replace(":str", "").replace(":int", "") for one in READ for path in one.paths} - STREAMS
)


@pytest.fixture(scope="module")
def document(client: Client) -> dict[str, Any]:
    found: dict[str, Any] = client.get("/openapi.json").json()
    return found


@pytest.fixture(scope="module")
def second(client: Client) -> dict[str, Any]:
    found: dict[str, Any] = client.get("/openapi-v2.json").json()
    return found


def schema_of(document: dict[str, Any], path: str) -> dict[str, Any]:
    """Return the schema of the `data` of a success."""
    answer = document["paths"][path]["get"]["responses"]["200"]
    name = answer["content"]["application/json"]["schema"]["$ref"].split("/")[-1]
    found: dict[str, Any] = document["components"]["schemas"][name]["properties"]
    return found


@pytest.mark.parametrize("path", PATHS)
def test_every_parameter_and_answer_is_described(
    document: dict[str, Any], second: dict[str, Any], path: str
) -> None:
    document = second if "/v2/" in path else document
    operation = document["paths"][path]["get"]
    for parameter in operation.get("parameters", ()):
        assert parameter["description"]
        assert parameter["schema"]
    assert {"200", "400", "401", "500", "503"} <= set(operation["responses"])
    headers = operation["responses"]["200"]["headers"]
    if "/audit/" in path or "/reactions" in path or "/projections" in path:
        return  # no view of the log
    assert headers["Daybook-Position"]["schema"]["type"] == "integer"
    if path.endswith("/personal-data"):
        return  # it is of several views, and has no version
    is_list = "pagination" in schema_of(document, path)
    assert is_list == ("ETag" not in headers) == ("304" not in operation["responses"])
    paging = "cursor" if "/v2/" in path else "page"
    assert is_list == (paging in {one["name"] for one in operation["parameters"]})


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


def test_operations_have_names_of_their_own(
    document: dict[str, Any], second: dict[str, Any]
) -> None:
    for one in (document, second):
        ids = [found["operationId"] for path in one["paths"].values() for found in path.values()]
        assert len(ids) == len(set(ids))
    assert second["paths"]["/api/v2/orders"]["get"]["operationId"] == "listOrders"


def test_each_version_has_its_paths_and_the_schemas_that_these_need(
    document: dict[str, Any], second: dict[str, Any]
) -> None:
    assert set(document["paths"]) | set(second["paths"]) >= set(PATHS)
    assert all(path.startswith("/api/v2/") for path in second["paths"])
    assert not any(path.startswith("/api/v2/") for path in document["paths"])
    assert "UserV2View" in second["components"]["schemas"]
    assert "UserV2View" not in document["components"]["schemas"]
    for one in (document, second):
        assert set(one["components"]["schemas"]) == set(referred(one)), "neither missing nor idle"


def test_every_body_and_answer_has_examples_that_its_schema_allows(
    document: dict[str, Any], second: dict[str, Any]
) -> None:
    count = 0
    for one in (document, second):
        for path, method, where, content in bodies(one):
            assert content["examples"], (path, method, where)
            schema = {**content["schema"], "components": one["components"]}
            validator = jsonschema_rs.Draft202012Validator(schema)
            for name, example in content["examples"].items():
                wrong = [error.message for error in validator.iter_errors(example["value"])]
                assert not wrong, (path, method, where, name, example["value"])
                count += 1
    assert count > 500


def bodies(document: dict[str, Any]) -> Iterator[tuple[str, str, str, dict[str, Any]]]:
    """Yield every body that is sent or answered, in each of its forms."""
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            parts = {"body": operation.get("requestBody", {}), **operation["responses"]}
            for where, part in parts.items():
                for content in part.get("content", {}).values():
                    yield path, method, where, content


def test_an_error_has_an_example_of_each_of_its_codes(
    document: dict[str, Any], second: dict[str, Any]
) -> None:
    count = 0
    for where, operation in operations(document, second):
        for status, answer in operation["responses"].items():
            if status < "400":
                continue
            forms = set(answer["content"]) - {GRAPHQL_ANSWER}
            assert forms == {"application/json", "application/problem+json"}, (where, status)
            for form in forms:
                examples = answer["content"][form]["examples"]
                assert set(examples) == set(answer["description"].split(", ")), (where, status)
                count += len(examples)
    assert count > 1_000
    assert STATUSES.keys() - SENTENCES.keys() == {"METHOD_NOT_ALLOWED"}, "of no operation"


def test_every_operation_says_what_it_does_and_what_comes_back(
    document: dict[str, Any], second: dict[str, Any]
) -> None:
    for where, operation in operations(document, second):
        assert operation["summary"], where
        assert operation["description"].endswith("."), where
        for status, answer in operation["responses"].items():
            if status < "400":
                assert answer["description"].endswith("."), (where, status)
                assert not answer["description"].startswith(("Request ", "Document ")), where


def operations(*documents: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every operation with where it is."""
    for document in documents:
        for path, found in document["paths"].items():
            for method, operation in found.items():
                yield f"{method.upper()} {path}", operation


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


def test_an_export_has_one_of_several_forms(document: dict[str, Any]) -> None:
    answer = document["paths"]["/api/v1/audit/export"]["get"]["responses"]["200"]
    assert set(answer["content"]) == set(MEDIA_TYPES.values())
    assert answer["headers"]["Daybook-Head-Size"]["required"]


def test_money_is_a_string(document: dict[str, Any]) -> None:
    money = document["components"]["schemas"]["MoneyView"]["properties"]
    assert money["amount"]["type"] == "string"


def test_fields_may_be_missing_as_the_client_wishes(document: dict[str, Any]) -> None:
    assert not document["components"]["schemas"]["ProductView"].get("required")
    assert "unitPrice" in document["components"]["schemas"]["ItemView"]["required"]
