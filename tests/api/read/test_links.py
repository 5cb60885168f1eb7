"""The links of the documents lead from what an answer holds to all that can be done with it."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.api.conftest import Client

Json = dict[str, Any]
DOCUMENTS = ("/openapi.json", "/openapi-v2.json")
# Named by what a client knows without an answer: itself, or what it looks at right now.
UNLINKED = {"replacePassword", "followOrder", "removePersonalData"}


@pytest.fixture(scope="module", params=DOCUMENTS)
def document(client: Client, request: pytest.FixtureRequest) -> Json:
    found: Json = client.get(request.param).json()
    return found


def operations(document: Json) -> dict[str, Json]:
    found = [
        {**one, "parameters": one.get("parameters", []), "path": path}
        for path, methods in document["paths"].items()
        for one in methods.values()
    ]
    return {one["operationId"]: one for one in found}


def links(document: Json) -> Iterator[tuple[Json, Json, Json]]:
    """Yield every link with its operation and the answer that has it."""
    for one in operations(document).values():
        for answer in one["responses"].values():
            for link in answer.get("links", {}).values():
                yield one, answer, link


def test_a_link_gives_its_operation_what_it_needs(document: Json) -> None:
    known = operations(document)
    count = 0
    for source, _, link in links(document):
        target = known[link["operationId"]]
        takes = {one["name"]: one for one in target["parameters"]}
        given = {name.rpartition(".")[2] for name in link["parameters"]}
        assert given <= takes.keys(), (source["operationId"], link)
        needed = {name for name, one in takes.items() if one["in"] == "path"}
        assert needed <= given, (source["operationId"], link)
        assert ("requestBody" not in link) or "requestBody" in target
        count += 1
    assert count > 12


def test_an_answer_holds_what_its_links_take_from_it(document: Json) -> None:
    for source, answer, link in links(document):
        takes = {f"{one['in']}.{one['name']}" for one in source["parameters"]}
        (content,) = answer["content"].values()
        example = content["examples"]["example"]["value"]
        for expression in re.findall(r"\$[^\"'}]+", str(link)):
            kind, _, pointer = expression.partition("#/")
            if kind == "$response.body":
                assert value_at(example, pointer) is not None, (source["operationId"], expression)
            elif kind.startswith("$response.header."):
                assert kind.removeprefix("$response.header.") in answer["headers"], expression
            else:
                assert kind.removeprefix("$request.") in takes, (source["operationId"], expression)


def value_at(value: Any, pointer: str) -> Any:
    """Return what a JSON pointer finds."""
    for name in pointer.split("/"):
        value = value[int(name)] if isinstance(value, list) else value[name]
    return value


def test_whatever_has_a_place_of_its_own_can_be_come_to(document: Json) -> None:
    linked = {link["operationId"] for _, _, link in links(document)}
    named = {name for name, one in operations(document).items() if "{" in one["path"]}
    assert named - linked - UNLINKED == set()


def test_the_next_stretch_of_a_list_is_the_one_with_the_same_filters(document: Json) -> None:
    for source, _, link in links(document):
        if "cursor" in link["parameters"]:
            takes = {one["name"] for one in source["parameters"] if one["in"] == "query"}
            stay = {name for name in link["parameters"] if name not in {"cursor", "user_id"}}
            assert link["operationId"] == source["operationId"]
            assert takes - {"cursor", "fields", "data"} == stay - {"stream_id"}
